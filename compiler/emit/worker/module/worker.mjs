// The Email Worker: takes one message for one recipient out of the SMTP session and hands it to the ingest.
//
// What a sender sees is decided here, in his session, and never later by a bounce:
//   setReject  refused for good, only when that is proven: the recipient is not in the compiled set, the
//              message is too large, or the ingest itself said so in its own words;
//   return     delivered, or kept in the spool and queued;
//   throw      everything else. Email Routing answers a temporary error, and the sender keeps the message.
//
// Bindings: INGEST_URL, INGEST_TOKEN, DIGEST_KEY, MAX_BYTES, TIMEOUT_MS, SITE; SIGNING_KEY where requests are
// signed; ACCESS_CLIENT_ID and ACCESS_CLIENT_SECRET behind Access; with the spool SPOOL (R2), QUEUE, DEAD and
// its name DEAD_NAME, RETRY_CAP_SECONDS; ALERT_WEBHOOK where there is one.

import recipients from "./recipients.mjs"; // made at apply: it is keyed with a secret
import { accepts } from "./lookup.mjs";
import { digestOf, post } from "./ingest.mjs";
import { reserve } from "./memory.mjs";
import { alarm, drain, keep, nudge } from "./spool.mjs";

export default {
  async email(message, env, ctx) {
    const envelope = { from: ascii(message.from), to: ascii(message.to) };
    const refusal = await refuses(envelope, message.rawSize, env);
    // Awaited: where the message lives in another isolate (local tests), setReject is a call to it.
    if (refusal) return message.setReject(refusal);
    const free = await reserve(buffered(env) ? message.rawSize : 0);
    try {
      await take(message, envelope, env, ctx);
    } finally {
      free();
    }
  },

  async queue(batch, env) {
    await (batch.queue === env.DEAD_NAME ? alarm : drain)(batch.messages, env);
  },
};

/** The address with its domain in A-labels, should it have come otherwise. */
function ascii(address) {
  const at = address.lastIndexOf("@");
  const domain = address.slice(at + 1);
  if (/^[\x20-\x7e]*$/.test(domain) || !URL.canParse(`http://${domain}`)) return address;
  return address.slice(0, at + 1) + new URL(`http://${domain}`).hostname;
}

/** Why the message is refused before anything is read of it; empty when it is not. */
async function refuses({ from, to }, size, env) {
  if (/[^\x20-\x7e]/.test(from + to)) return "5.6.7 only ASCII addresses are taken here";
  if (!(await accepts(recipients, env.DIGEST_KEY, to))) return "5.1.1 no such recipient here";
  if (size > Number(env.MAX_BYTES)) return `5.3.4 message is larger than ${env.MAX_BYTES} bytes`;
  return "";
}

// A signature goes ahead of the body it covers, and the spool needs the body a second time: both want the
// message whole, as one buffer of raw bytes. Else it streams through.
function buffered(env) {
  return Boolean(env.SIGNING_KEY || env.SPOOL);
}

async function take(message, envelope, env, ctx) {
  const body = buffered(env) ? new Uint8Array(await new Response(message.raw).arrayBuffer()) : message.raw;
  const digest = env.SIGNING_KEY ? await digestOf(body) : "";
  const answer = await post(env, envelope, body, digest);
  log(answer, message.rawSize);
  switch (answer.verdict) {
    case "delivered":
      if (env.SPOOL) ctx.waitUntil(nudge(env)); // the ingest is there: whoever waits may come
      return;
    case "refused":
      return message.setReject(answer.text);
  }
  if (!env.SPOOL) throw new Error(`not delivered, try again: ${answer.text}`);
  await keep(env, envelope, body, digest);
}

function log(answer, bytes) {
  console.log(JSON.stringify({ event: "mail", verdict: answer.verdict, http: answer.http, bytes, text: answer.text }));
}
