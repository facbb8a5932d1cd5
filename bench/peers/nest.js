// The stack that MediQ replaces, doing the work of bench/work.py: NestJS over HTTP, alone or with its RabbitMQ transport.
//
//   node nest.js alone PORT express|fastify
//   node nest.js gateway PORT express|fastify URL
//   node nest.js service URL
require("reflect-metadata");
const { Body, Controller, HttpCode, Inject, Module, Post } = require("@nestjs/common");
const { NestFactory } = require("@nestjs/core");
const { ClientsModule, Ctx, MessagePattern, Payload, Transport } = require("@nestjs/microservices");
const { __decorate, __param } = require("tslib");
const { firstValueFrom } = require("rxjs");

const [mode, ...rest] = process.argv.slice(2);
const url = rest.at(-1);
const rabbitmq = {
  transport: Transport.RMQ,
  options: {
    urls: [url],
    queue: "nest_queue",
    persistent: true,
    noAck: mode === "gateway", // of the replies, which its own queue takes; the service acknowledges requests
    prefetchCount: 128,
    queueOptions: { durable: true, arguments: { "x-queue-type": "quorum" } },
  },
};

const answer = (message) => ({ id: message.user_id, number: "A-012", status: "WAITING", people_ahead: 3 });

let Alone = class {
  view(message) {
    return answer(message);
  }
};
__decorate([Post("open"), HttpCode(200), __param(0, Body())], Alone.prototype, "view", null);
Alone = __decorate([Controller()], Alone);

let Gateway = class {
  constructor(client) {
    this.client = client;
  }
  view(message) {
    return firstValueFrom(this.client.send("bench.view", message));
  }
};
__decorate([Post("open"), HttpCode(200), __param(0, Body())], Gateway.prototype, "view", null);
Gateway = __decorate([Controller(), __param(0, Inject("ASK"))], Gateway);

let Service = class {
  view(message, context) {
    context.getChannelRef().ack(context.getMessage());
    return answer(message);
  }
};
__decorate([MessagePattern("bench.view"), __param(0, Payload()), __param(1, Ctx())], Service.prototype, "view", null);
Service = __decorate([Controller()], Service);

async function main() {
  const controller = { alone: Alone, gateway: Gateway, service: Service }[mode];
  const imports = mode === "gateway" ? [ClientsModule.register([{ name: "ASK", ...rabbitmq }])] : [];
  let Root = class {};
  Root = __decorate([Module({ imports, controllers: [controller] })], Root);
  if (mode === "service") {
    const app = await NestFactory.createMicroservice(Root, { ...rabbitmq, logger: false });
    await app.listen();
  } else {
    const { FastifyAdapter } = require("@nestjs/platform-fastify");
    const { ExpressAdapter } = require("@nestjs/platform-express");
    const adapter = rest[1] === "fastify" ? new FastifyAdapter() : new ExpressAdapter();
    const app = await NestFactory.create(Root, adapter, { logger: false });
    await app.listen(Number(rest[0]), "127.0.0.1");
  }
  console.log(`ready ${rest[0]}`);
}

main();
