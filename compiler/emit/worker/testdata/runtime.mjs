// The script in workerd, behind the driver that plays Email Routing.
import { createRequire } from "node:module";
import { readdirSync } from "node:fs";
import { join } from "node:path";

const { Log, LogLevel, Miniflare, Response } = createRequire(join(process.env.NODE_MODULES, "x"))("miniflare");
export { Response };

const compatibilityDate = "2026-04-01";
const esModule = (path) => ({ type: "ESModule", path });
const script = readdirSync(process.env.WORKER_DIR)
  .sort((a, b) => (b === "worker.mjs") - (a === "worker.mjs")) // the main module first
  .map((name) => esModule(join(process.env.WORKER_DIR, name)));

export function runtime(options) {
  const driver = { name: "driver", modules: [esModule(join(import.meta.dirname, "driver.mjs"))], modulesRoot: import.meta.dirname };
  const mail = { name: "mail", modules: script, modulesRoot: process.env.WORKER_DIR };
  return new Miniflare({
    cf: false, log: new Log(LogLevel.NONE), handleRuntimeStdio: (out, err) => (out.resume(), err.resume()),
    workers: [
      { ...driver, compatibilityDate, serviceBindings: { EDGE: "mail" } },
      { ...mail, compatibilityDate, ...options },
    ],
  });
}

/** Sends one message through the Worker; returns {outcome, rejects, error} as the sender would see it. */
export async function mail(one, body, { from = "eve@sender.example", to = "alice@example.com" } = {}) {
  const response = await fetch(await one.ready, { method: "POST", body, headers: { "x-from": from, "x-to": to } });
  return response.json();
}
