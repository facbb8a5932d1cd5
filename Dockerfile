# MediQ in one image; the command chooses the role of a container. The tests run on Debian 12 and Python 3.11 too.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
# An environment without pip: the base image's pip installs into it from outside.
RUN python -m venv --without-pip /opt/mediq
# The libraries first: a change in MediQ alone does not fetch them again.
COPY requirements.lock ./
RUN python -m pip --python /opt/mediq/bin/python install --no-compile --only-binary :all: --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY mediq mediq
RUN python -m pip wheel --no-deps --wheel-dir /wheels .
RUN python -m pip --python /opt/mediq/bin/python install --no-compile --no-deps --no-index /wheels/*.whl
# Compiled here, since the running container cannot write. Unchecked, since the sources never change.
RUN /opt/mediq/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/mediq/lib
COPY deploy/healthcheck.py /opt/mediq/healthcheck.py

FROM ${BASE}
# No package installer beside patients' data.
RUN python -m pip uninstall --quiet --yes --root-user-action ignore wheel setuptools pip
RUN groupadd --gid 10001 mediq \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin mediq \
    && install --directory --owner 10001 --group 10001 --mode 0700 /data \
    && install --directory /etc/mediq
COPY --from=build /opt/mediq /opt/mediq
# Keeps onnxruntime from reporting its use; nothing in this application calls outside.
ENV PATH=/opt/mediq/bin:$PATH \
    MEDIQ_DATA=/data \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1
# MediQ reads a config.toml that is mounted here.
WORKDIR /etc/mediq
USER 10001:10001
VOLUME /data
EXPOSE 3001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "/opt/mediq/healthcheck.py"]
ENTRYPOINT ["python", "-m", "mediq"]
CMD ["--role", "all"]
