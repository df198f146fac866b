// The Worker in workerd, as it runs at the edge, with Miniflare's bucket and queues.
import assert from "node:assert/strict";
import { createHash, randomFillSync } from "node:crypto";
import { after, before, test } from "node:test";
import { Response, mail, runtime } from "./runtime.mjs";
import { checkReport, checkRequest, isReport, settings } from "./support.mjs";

let ingest = () => answer(200, "delivered");
let seen = [];
let alarms = [];
let told = [];
let away = () => false;
const answer = (status, said) => Response.json({ status: said, message: `2.0.0 ${said}` }, { status });

async function outside(request) {
  if (request.url.startsWith("https://alerts.example/")) {
    alarms.push(await request.json());
    return new Response("ok");
  }
  const body = Buffer.from(await request.arrayBuffer());
  if (away(body.toString("latin1"))) return new Response("tunnel down", { status: 530 });
  if (isReport(request.headers)) {
    told.push(checkReport(request.headers, body));
    return new Response(null, { status: 204 });
  }
  const { to } = checkRequest(request.headers, body);
  seen.push({ to, size: body.length, text: body.subarray(0, 40).toString("latin1"), sum: createHash("sha256").update(body).digest("hex") });
  return ingest(seen.at(-1));
}

const spool = {
  bindings: { ...settings, RETRY_CAP_SECONDS: "1", DEAD_NAME: "home-spool-dead", ALERT_WEBHOOK: "https://alerts.example/hook" },
  r2Buckets: ["SPOOL"],
  queueProducers: { QUEUE: "home-spool", DEAD: "home-spool-dead" },
  queueConsumers: {
    "home-spool": { maxBatchSize: 5, maxBatchTimeout: 0, maxRetries: 4, deadLetterQueue: "home-spool-dead" },
    "home-spool-dead": { maxBatchSize: 5, maxBatchTimeout: 0, maxRetries: 3 },
  },
};

let plain, spooling;
before(async () => {
  plain = runtime({ bindings: settings, outboundService: outside });
  spooling = runtime({ ...spool, outboundService: outside });
  await Promise.all([plain.ready, spooling.ready]);
});
after(() => Promise.all([plain.dispose(), spooling.dispose()]));

async function eventually(done, what) {
  for (const until = Date.now() + 30_000; !(await done()); await new Promise((resolve) => setTimeout(resolve, 50))) {
    assert.ok(Date.now() < until, `not in time: ${what}`);
  }
}

const keys = async (prefix) => (await (await spooling.getR2Bucket("SPOOL", "mail")).list({ prefix })).objects.map((object) => object.key);

test("25 MiB of any bytes arrive untouched", async () => {
  const body = randomFillSync(Buffer.alloc(25 << 20));
  for (const one of [plain, spooling]) {
    seen = [];
    assert.equal((await mail(one, body)).outcome, "accepted");
    assert.deepEqual([seen.length, seen[0].size, seen[0].sum], [1, 25 << 20, createHash("sha256").update(body).digest("hex")]);
  }
  assert.match((await mail(plain, Buffer.alloc((25 << 20) + 1))).rejects[0], /^5\.3\.4/);
});

test("six messages of 25 MiB at once fit into one isolate", async () => {
  seen = [];
  const all = await Promise.all(Array.from({ length: 6 }, () => mail(plain, randomFillSync(Buffer.alloc(25 << 20)))));
  assert.deepEqual(all.map((one) => one.outcome), Array(6).fill("accepted"));
  assert.equal(new Set(seen.map((one) => one.sum)).size, 6);
});

test("rejected, accepted or tried again", async () => {
  assert.equal((await mail(plain, "x", { to: "nobody@elsewhere.example" })).outcome, "rejected");
  for (const [reply, want] of [
    [() => answer(200, "delivered"), "accepted"],
    [() => answer(422, "refused"), "rejected"],
    [() => answer(503, "deferred"), "exception"],
    [() => new Response("<html>", { status: 530 }), "exception"],
    [() => new Response("<html>", { status: 200 }), "exception"],
    [() => new Response(null, { status: 302, headers: { location: "https://mail-api.example.com/v1/ingest" } }), "exception"],
  ]) {
    ingest = reply;
    const got = await mail(plain, "Subject: x\r\n\r\n");
    assert.equal(got.outcome, want, JSON.stringify(got));
  }
});

test("an outage: kept at the edge, drained in order", async () => {
  const names = Array.from({ length: 12 }, (_, i) => `message ${String(i).padStart(2, "0")} \xff`);
  let ends = false;
  const arrived = [];
  // The outage ends between two turns: within one, the message tried last would have to rest.
  away = (text) => arrived.length === 0 && !(ends && text === names[0]);
  ingest = ({ text }) => {
    arrived.push(text);
    return answer(200, "delivered");
  };
  for (const name of names) assert.equal((await mail(spooling, Buffer.from(name, "latin1"))).outcome, "accepted");
  assert.equal((await keys("mail/")).length, 12);
  ends = true;
  await eventually(async () => (await keys("mail/")).length === 0, "drained");
  assert.deepEqual(arrived, names);
  await eventually(() => told.at(-1)?.waiting === 0, "the host knows that none waits");
});

test("a hopeless one becomes a dead letter with an alarm", async () => {
  alarms = [];
  ingest = () => answer(503, "deferred");
  assert.equal((await mail(spooling, "hopeless")).outcome, "accepted");
  await eventually(() => alarms.length > 0, "alarm");
  const dead = await keys("dead/");
  assert.equal(dead.length, 1);
  assert.deepEqual([alarms[0].site, alarms[0].kind, alarms[0].letters[0].key], ["home", "dead-letter", dead[0]]);
  assert.equal((await keys("mail/")).length, 0);
  assert.ok(told.some((one) => one.waiting === 1 && dead[0].includes(one.oldest)), "the host was told of one that waits");
  await eventually(() => told.at(-1).dead === 1 && told.at(-1).waiting === 0, "the host knows of the dead letter");
});
