// The Worker by plain import: what the sender sees of each answer, what the ingest sees of each message.
import assert from "node:assert/strict";
import { test } from "node:test";
import { answers, checkRequest, message, settings } from "./support.mjs";

const { default: worker } = await import(`${process.env.WORKER_DIR}/worker.mjs`);
const mail = Buffer.from("Subject: hello\r\n\r\n8-bit \xe4\xf6\xfc\0 bare\nLF\r\n", "latin1");
console.log = () => {};

/** Runs the Worker against one answer; returns what the sender sees and what was posted. */
async function run(answer, options = {}, env = settings) {
  const posted = [];
  globalThis.fetch = async (url, init) => {
    posted.push({ url, headers: new Headers(init.headers), init, body: Buffer.from(await new Response(init.body).arrayBuffer()) });
    return answer(posted.at(-1));
  };
  const one = message(options.raw ?? mail, options);
  try {
    await worker.email(one, env);
    return { posted, seen: one.rejects.length > 0 ? "rejected" : "accepted", text: one.rejects[0] };
  } catch (error) {
    return { posted, seen: "try again", text: error.message };
  }
}

test("each answer becomes what it proves and nothing more", async () => {
  const table = [
    [answers.delivered, "accepted"],
    [answers.refused, "rejected"],
    [answers.deferred, "try again"],
    [() => answers.invalid(400), "try again"],
    [() => answers.invalid(401), "try again"],
    [() => answers.invalid(403), "try again"],
    [() => answers.invalid(415), "try again"],
    ...[200, 201, 204, 302, 400, 403, 404, 413, 422, 429, 500, 502, 503, 530].map((http) => [
      http === 204 ? () => new Response(null, { status: 204 }) : answers.page(http), "try again"]),
    [() => Promise.reject(new Error("connection lost")), "try again"],
    [() => new Response('{"status":"delivered"}', { status: 500 }), "try again"],
    [() => new Response('{"status":"refused"}', { status: 404 }), "try again"],
    [() => new Response("null", { status: 200 }), "try again"],
    [() => new Response('{"status":"delivered","mess', { status: 200 }), "try again"],
    [() => new Response('{"status":"refused","message":"5.3.4 too large"}', { status: 413 }), "rejected"],
  ];
  for (const [i, [answer, want]] of table.entries()) {
    const { seen, text } = await run(answer);
    assert.equal(seen, want, `case ${i}: ${text}`);
  }
});

test("the sender reads the ingest's own words, on one line", async () => {
  const { text } = await run(() => new Response('{"status":"refused","message":"5.7.1 no\\r\\n250 yes \u00e9"}', { status: 422 }));
  assert.equal(text, "5.7.1 no 250 yes");
});

test("the message arrives untouched, with its envelope, signed", async () => {
  const { posted } = await run(answers.delivered, { to: "Alice+News@Example.com" });
  assert.equal(posted.length, 1);
  assert.equal(posted[0].url, settings.INGEST_URL);
  assert.deepEqual(posted[0].body, mail);
  assert.equal(posted[0].init.redirect, "manual");
  assert.deepEqual(checkRequest(posted[0].headers, posted[0].body), { from: "eve@sender.example", to: "Alice+News@Example.com" });
});

test("a bounce has the null reverse path", async () => {
  const { posted } = await run(answers.delivered, { from: "" });
  assert.equal(checkRequest(posted[0].headers, posted[0].body).from, "<>");
});

test("without signing and spool the body streams", async () => {
  const { SIGNING_KEY, ...env } = settings;
  const { posted, seen } = await run(answers.delivered, {}, env);
  assert.equal(seen, "accepted");
  assert.ok(posted[0].init.body instanceof ReadableStream);
  assert.deepEqual(posted[0].body, mail);
  assert.equal(posted[0].headers.get("x-mailplan-signature"), null);
});

test("behind Access it shows its service token", async () => {
  const { posted } = await run(answers.delivered, {}, { ...settings, ACCESS_CLIENT_ID: "id", ACCESS_CLIENT_SECRET: "secret" });
  assert.equal(posted[0].headers.get("cf-access-client-id"), "id");
  assert.equal(posted[0].headers.get("cf-access-client-secret"), "secret");
});

test("unknown, foreign and unspeakable recipients and giants are refused unread", async () => {
  const without = (to) => ({ to });
  for (const [options, code] of [
    [without("nobody@elsewhere.example"), "5.1.1"],
    [without("no address"), "5.1.1"],
    [without("al\u00efce@example.com"), "5.6.7"],
    [{ size: (25 << 20) + 1 }, "5.3.4"],
  ]) {
    const { seen, text, posted } = await run(answers.delivered, options);
    assert.equal(seen, "rejected");
    assert.ok(text.startsWith(code), text);
    assert.equal(posted.length, 0);
  }
});

test("a U-label domain is as good as its A-labels", async () => {
  const { posted, seen } = await run(answers.delivered, { from: "eve@b\u00fccher.example" });
  assert.equal(seen, "accepted");
  assert.equal(posted[0].headers.get("x-mail-from"), "eve@xn--bcher-kva.example");
});

test("an ingest that hangs is given up in time", async () => {
  globalThis.fetch = (url, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const begun = Date.now();
  const waiting = setInterval(() => {}, 1000); // AbortSignal.timeout alone keeps no process alive
  await assert.rejects(worker.email(message(mail), { ...settings, TIMEOUT_MS: "50" }), /try again/);
  clearInterval(waiting);
  assert.ok(Date.now() - begun < 2000);
});

test("large messages wait for room", async () => {
  let inside = 0;
  const leave = [];
  globalThis.fetch = () => new Promise((resolve) => {
    inside++;
    leave.push(() => resolve(answers.delivered()));
  });
  const pause = () => new Promise((resolve) => setTimeout(resolve, 300));
  const large = Buffer.alloc(20 << 20);
  const all = Promise.all([1, 2, 3, 4, 5].map(() => worker.email(message(large), settings)));
  while (inside < 3) await pause();
  await pause();
  assert.equal(inside, 3, "more than 64 MiB are held");
  while (leave.length > 0 || inside < 5) {
    leave.splice(0).forEach((go) => go());
    await pause();
  }
  await all;
});
