"""What every test may ask for: the private servers, each of which starts when it is first wanted."""

from tests.fixtures.servers import mariadb, mysql_url, rabbitmq, rabbitmq_url, redis_server, redis_url

__all__ = ["mariadb", "mysql_url", "rabbitmq", "rabbitmq_url", "redis_server", "redis_url"]
