// The Worker in workerd against the daemon's real endpoint.
import assert from "node:assert/strict";
import { createHash, randomFillSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { after, test } from "node:test";
import { mail, runtime } from "./runtime.mjs";
import { settings } from "./support.mjs";

const right = runtime({ bindings: { ...settings, INGEST_URL: process.env.INGEST_URL } });
const wrongKey = runtime({ bindings: { ...settings, INGEST_URL: process.env.INGEST_URL, SIGNING_KEY: "not the key that is known" } });
after(() => Promise.all([right.dispose(), wrongKey.dispose()]));

const sent = [];
async function accepted(rest, envelope) {
  const body = Buffer.concat([Buffer.from("X-Test: begin\r\n"), Buffer.from(rest)]);
  const seen = await mail(right, body, envelope);
  assert.equal(seen.outcome, "accepted", JSON.stringify(seen));
  sent.push(createHash("sha256").update(body).digest("hex"));
}

test("what is accepted is stored, byte for byte", async () => {
  await accepted("Subject: plain\r\n\r\nhello\r\n");
  await accepted(Buffer.from("Subject: \xfcml\xe4ut\r\n\r\n8-bit \xff\xfe\x80\r\n", "latin1"));
  await accepted("Subject: a bounce\r\n\r\n", { from: "" });
  await accepted("Subject: detail\r\n\r\nx\r\n", { to: "Alice+News@Example.com" });
  await accepted(`Subject: long\r\n\r\n${"x".repeat(100_000)}\r\n.\r\n..\r\n`);
  // no bare line ends: what becomes of those is for the mail store to say
  const large = randomFillSync(Buffer.alloc((25 << 20) - 200)).map((b) => (b === 10 || b === 13 ? 0x80 : b));
  await accepted(Buffer.concat([Buffer.from("Subject: large\r\n\r\n"), large, Buffer.from("\r\n")]));
  writeFileSync(process.env.REPORT, JSON.stringify(sent));
});

test("an address that the set holds and the table does not is refused in the ingest's words", async () => {
  const seen = await mail(right, "Subject: x\r\n\r\n", { to: "stranger@example.com" }); // by the catch-all
  assert.deepEqual([seen.outcome, seen.rejects], ["rejected", ["5.1.1 no such recipient here"]]);
});

test("a key that the ingest does not know loses nothing", async () => {
  const seen = await mail(wrongKey, "Subject: x\r\n\r\n");
  assert.equal(seen.outcome, "exception");
  assert.match(seen.error, /X-Mailplan-Signature/);
});
