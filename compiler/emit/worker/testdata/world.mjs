// A world in simulated time around the Worker: a bucket, two queues that keep no order and deliver at least
// once, an ingest that is there or not, and a webhook. Nothing waits: the clock jumps to the next event.
import { mock } from "node:test";
import { answers, checkReport, isReport, message, settings } from "./support.mjs";

const START = Date.UTC(2026, 10, 21);

export class World {
  constructor(worker, { maxRetries = 100, page = 1000, faults = 0, seed = 1, cap = 11_667 } = {}) {
    Object.assign(this, { worker, page, faults, seed, calls: 0, delivered: [], alarms: [], lost: [] });
    this.away = () => false; // or the page that answers everything while the host is out of reach
    this.ingest = () => answers.delivered();
    this.webhook = () => new Response("ok");
    this.report = () => new Response(null, { status: 204 });
    this.told = []; // what the host took note of, with the day
    this.objects = new Map();
    this.mail = new Queue(this, "home-spool", maxRetries);
    this.dead = new Queue(this, "home-spool-dead", 10);
    this.mail.deadLetters = this.dead;
    this.env = {
      ...settings, RETRY_CAP_SECONDS: String(cap), ALERT_WEBHOOK: "https://alerts.example/hook",
      SPOOL: this.bucket(), QUEUE: this.mail, DEAD: this.dead, DEAD_NAME: "home-spool-dead",
    };
    mock.timers.enable({ apis: ["Date"], now: START });
    globalThis.fetch = (url, init) => this.fetch(url, init);
  }

  /** Days since the beginning. */
  get day() {
    return (Date.now() - START) / 86_400_000;
  }

  random() {
    this.seed = (this.seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return this.seed / 2 ** 31;
  }

  /** Fails now and then, before or after the deed. */
  async chance(deed) {
    if (this.random() < this.faults) throw new Error("simulated fault before");
    const result = await deed();
    if (this.random() < this.faults) throw new Error("simulated fault after");
    return result;
  }

  async fetch(url, init) {
    this.calls++;
    if (url === this.env.ALERT_WEBHOOK) {
      const answer = this.webhook();
      if (answer.ok) this.alarms.push(...JSON.parse(init.body).letters);
      return answer;
    }
    const page = await this.away();
    if (page) return page;
    if (isReport(init.headers)) {
      const answer = this.report();
      if (answer.status === 204) this.told.push({ day: this.day, ...checkReport(new Headers(init.headers), Buffer.from(init.body)) });
      return answer;
    }
    const body = Buffer.from(await new Response(init.body).arrayBuffer()).toString("latin1");
    const one = { body, to: new Headers(init.headers).get("x-rcpt-to"), day: this.day };
    const answer = await this.ingest(one);
    if (answer.status === 200) this.delivered.push(one);
    return answer;
  }

  /** A sender's attempt: true when the message was taken over. */
  async send(body, to = "alice@example.com") {
    const one = message(Buffer.from(body, "latin1"), { to });
    const after = [];
    try {
      await this.worker.email(one, this.env, { waitUntil: (promise) => after.push(promise) });
      await Promise.all(after);
      return one.rejects.length === 0;
    } catch {
      return false;
    }
  }

  /** Lets the queues run until nothing is due before the given day. */
  async until(day) {
    for (;;) {
      const next = Math.min(this.mail.due(), this.dead.due());
      if (!(next <= START + day * 86_400_000)) break;
      if (next > Date.now()) mock.timers.setTime(next);
      for (const queue of [this.mail, this.dead]) await queue.run();
    }
    if (START + day * 86_400_000 > Date.now()) mock.timers.setTime(START + day * 86_400_000);
  }

  keys(prefix) {
    return [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  bucket() {
    return {
      put: (key, body, { customMetadata }) => this.chance(async () => {
        const bytes = Buffer.from(await new Response(body).arrayBuffer());
        this.objects.set(key, { key, bytes, customMetadata });
      }),
      get: (key) => this.chance(() => {
        const object = this.objects.get(key);
        return object ? { ...object, body: new Response(object.bytes).body } : null;
      }),
      head: (key) => this.chance(() => this.objects.get(key) ?? null),
      delete: (key) => this.chance(() => void this.objects.delete(key)),
      list: ({ prefix, limit = this.page, startAfter = "" }) => this.chance(() => {
        const keys = this.keys(prefix).filter((key) => key > startAfter);
        return { objects: keys.slice(0, limit).map((key) => ({ key })), truncated: keys.length > limit };
      }),
    };
  }
}

class Queue {
  constructor(world, name, maxRetries) {
    Object.assign(this, { world, name, maxRetries, entries: [] });
  }

  send(body, { delaySeconds = 0 } = {}) {
    return this.world.chance(() => void this.add(body, delaySeconds));
  }

  add(body, delaySeconds = 0) {
    this.entries.push({ body: structuredClone(body), attempts: 0, due: Date.now() + delaySeconds * 1000 });
  }

  due() {
    return this.entries.reduce((least, entry) => Math.min(least, entry.due), Infinity);
  }

  /** Hands over one batch of what is due, in no order. */
  async run() {
    const ready = this.entries.filter((entry) => entry.due <= Date.now());
    const batch = ready.sort(() => this.world.random() - 0.5).slice(0, 5);
    if (batch.length === 0) return;
    const messages = batch.map((entry) => ({
      body: entry.body, attempts: ++entry.attempts,
      ack: () => (entry.fate ??= "ack"), // the first word counts
      retry: ({ delaySeconds = 60 } = {}) => (entry.fate ??= delaySeconds),
    }));
    let otherwise = "ack";
    const before = this.world.calls;
    try {
      await this.world.worker.queue({ queue: this.name, messages }, this.world.env);
    } catch {
      otherwise = 60;
    }
    this.most = Math.max(this.most ?? 0, this.world.calls - before);
    for (const entry of batch) this.settle(entry, entry.fate ?? otherwise);
  }

  settle(entry, fate) {
    delete entry.fate;
    if (fate !== "ack" && entry.attempts <= this.maxRetries) {
      entry.due = Date.now() + fate * 1000;
      return;
    }
    this.entries.splice(this.entries.indexOf(entry), 1);
    if (fate !== "ack") this.deadLetters ? this.deadLetters.add(entry.body) : this.world.lost.push(entry.body);
  }
}
