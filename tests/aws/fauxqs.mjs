// Serves fauxqs, the emulator for load, on a port of 127.0.0.1: node fauxqs.mjs PORT. (Its own program listens on every
// address.) `tests/setup load` installs it.
import { buildApp } from "../../.venv/load/node_modules/fauxqs/dist/app.js";

const port = Number(process.argv[2]);
await buildApp({ logger: false }).listen({ port, host: "127.0.0.1" });
