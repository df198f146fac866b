// The spool keeps at the edge what the ingest cannot take now. A message lies in the bucket, below mail/ under a
// key that begins with its time, and a pointer to it in the queue. The queue keeps no order and no promise but to
// wake us again and again; the bucket's keys are the order. So whichever pointer wakes us, the
// oldest messages go first, and a host that is back is fed by a chain of wakes until nothing is left.
//
// Dead letters lie below dead/: what the ingest refused after it had been accepted from the sender, and what
// it did not take within the queue's patience. Each is told about.
//
// Whenever the spool was worked off as far as it goes, and when the ingest is silent, the host is told how many wait and
// since when, and how many are dead: a page of the bucket's list each, so that it costs the same whatever lies there.

import { digestOf, post, report } from "./ingest.mjs";

const MAIL = "mail/";
const DEAD = "dead/";
const TURN = 5; // messages per call: the free plan allows 50 requests to others in one
const FIRST_RETRY_SECONDS = 60;
const REST_MS = 10 * 60_000;

/** Takes a message over from the sender. It throws unless both bucket and queue have it. */
export async function keep(env, { from, to }, body, digest) {
  const key = `${MAIL}${new Date().toISOString()}-${crypto.randomUUID()}`;
  // Kept with its digest in any case: signing may be switched on while the message lies here.
  await env.SPOOL.put(key, body, { customMetadata: { from, to, digest: digest || (await digestOf(body)) } });
  try {
    await env.QUEUE.send({ key }, { delaySeconds: backoff(1, Number(env.RETRY_CAP_SECONDS)) });
  } catch (error) {
    // The sender will come again; what stays behind if this fails too, the ingest knows by its content.
    await env.SPOOL.delete(key).catch(() => {});
    throw error;
  }
}

/** Wakes the spool if anything lies in it. It is a favour: the pointers wake it in any case. */
export async function nudge(env) {
  try {
    const { objects } = await env.SPOOL.list({ prefix: MAIL, limit: 1 });
    if (objects.length > 0) await env.QUEUE.send({ wake: true });
  } catch (error) {
    console.log(JSON.stringify({ event: "spool", text: `not woken: ${error.message}` }));
  }
}

// Messages that the ingest itself put off step aside for a while, so that a full mailbox holds nobody else up.
const resting = new Map(); // key -> until when, in ms

/** Delivers the oldest messages, and settles the pointers that woke us. */
export async function drain(pointers, env) {
  try {
    await takeTurn(pointers, env);
  } catch (error) {
    console.log(JSON.stringify({ event: "spool", text: `turn broken off: ${error.message}` }));
    // At the queue's own delay a bucket that is away for two hours would use up all retries. Where a
    // pointer was settled before, the first word counts.
    for (const pointer of pointers) settle(pointer, true, env);
  }
}

async function takeTurn(pointers, env) {
  for (const pointer of pointers) {
    if (pointer.body.key?.startsWith(DEAD)) await revive(env, pointer.body.key);
    resting.delete(mailKey(pointer));
  }
  const after = pointers.map(({ body }) => body.after ?? "").filter(Boolean).sort()[0] ?? "";
  const listing = await listMail(env, after);
  const waiting = listing.objects.map((object) => object.key).filter((key) => !((resting.get(key) ?? 0) > Date.now()));
  const turn = waiting.slice(0, TURN);
  const settled = new Set();
  const tell = reporter(env, listing, settled, after);
  const silent = await deliverAll(env, turn, settled, tell);
  const more = waiting.length > TURN || listing.truncated;
  const passes = !silent && (after !== "" || (settled.size === 0 && pointers.some((one) => turn.includes(mailKey(one)))));
  const goesOn = more && (settled.size > 0 || passes);
  const told = goesOn || silent || (await tell());
  const teller = !told && !after && settled.size === listing.objects.length ? tellerOf(pointers, env) : undefined;
  for (const pointer of pointers) settle(pointer, pointer === teller || waits(pointer, listing, settled, after), env);
  if (goesOn) await env.QUEUE.send(passes ? { wake: true, after: turn.at(-1) ?? listing.objects.at(-1).key } : { wake: true });
}

/**
 * Lists what waits behind a key. Where all of a turn was put off, the next one passes it by: who rests is known to one isolate
 * only, and the next wake may come to another. Only the pointer of one in that turn lets a chain of such turns begin,
 * so that there are not as many chains as there are pointers.
 */
function listMail(env, after) {
  return env.SPOOL.list({ prefix: MAIL, ...(after && { startAfter: after }) });
}

let tellerComes = 0; // in ms

/** Where nothing waits any more, nothing else would wake us to tell it: one pointer stays for that, where none does yet. */
function tellerOf([pointer], env) {
  if (Date.now() < tellerComes) return undefined;
  tellerComes = Date.now() + 1000 * backoff(pointer.attempts, Number(env.RETRY_CAP_SECONDS));
  return pointer;
}

/** Returns what tells the host how the spool stands now, unless it has taken note of just that already. */
function reporter(env, listing, settled, after) {
  let noted = -1; // how many were settled then
  return async () => {
    if (noted === settled.size) return true;
    const whole = after ? await listMail(env, "") : listing;
    const left = whole.objects.filter((object) => !settled.has(object.key));
    const took = await tellHost(env, left, whole.truncated);
    if (took) noted = settled.size;
    return took;
  };
}

/** Tells the host how the spool stands, and says whether it took note. */
async function tellHost(env, left, truncated) {
  try {
    const dead = await env.SPOOL.list({ prefix: DEAD });
    const at = new Date().toISOString();
    const oldest = left[0]?.key.slice(MAIL.length, MAIL.length + at.length); // the key begins with it
    await report(env, { at, waiting: left.length, oldest, dead: dead.objects.length, more: truncated || dead.truncated });
    return true;
  } catch (error) {
    console.log(JSON.stringify({ event: "spool", text: `the host was not told: ${error.message}` }));
    return false;
  }
}

function mailKey(pointer) {
  return pointer.body.key?.replace(DEAD, MAIL);
}

/**
 * Delivers in order until the ingest is out of reach, and says whether it is; settled takes the keys that need nothing more.
 * A message may itself be the cause of silence (a scan that outlasts the time-out), and so may its neighbour. So after two in
 * a row, and after the last one, the ingest is told how the spool stands: if it takes note, it is there, and they rest.
 */
async function deliverAll(env, keys, settled, tell) {
  let silent = [];
  for (const key of keys) {
    const verdict = await attempt(env, key);
    if (verdict === "failed") {
      rest(key);
      continue;
    }
    if (verdict === "unreachable") {
      silent.push(key);
      if (silent.length === 1) continue;
      if (!(await tell())) return true;
    } else if (verdict === "deferred") rest(key);
    else settled.add(key);
    silent.forEach(rest);
    silent = [];
  }
  if (silent.length > 0 && !(await tell())) return true;
  silent.forEach(rest);
  return false;
}

function rest(key) {
  resting.set(key, Date.now() + REST_MS);
}

/** What fails on our side concerns this message alone, and says nothing of the ingest. */
async function attempt(env, key) {
  try {
    return await deliver(env, key);
  } catch (error) {
    console.log(JSON.stringify({ event: "spool", key, verdict: "failed", text: error.message }));
    return "failed";
  }
}

/** Tries one message; delivered or refused, it is no longer below mail/ afterwards. */
async function deliver(env, key) {
  const object = await env.SPOOL.get(key);
  if (!object) return "delivered"; // by another call
  const { from, to, digest } = object.customMetadata;
  const { verdict, http, text } = await post(env, { from, to }, object.body, digest);
  console.log(JSON.stringify({ event: "spool", key, verdict, http, text }));
  if (verdict === "delivered") await env.SPOOL.delete(key);
  if (verdict === "refused") {
    // Told first: once it is buried, nothing comes back to it, and rather is it told twice than never.
    await env.DEAD.send({ key: key.replace(MAIL, DEAD), reason: text });
    await bury(env, key, text);
  }
  return verdict;
}

/** Whether the message of a pointer still waits. */
function waits(pointer, listing, settled, after) {
  const key = mailKey(pointer);
  const last = listing.objects.at(-1)?.key ?? "";
  if (key <= after) return true; // it was not looked for
  const there = listing.objects.some((object) => object.key === key) || (listing.truncated && key > last);
  return there && !settled.has(key);
}

function settle(pointer, again, env) {
  if (again) pointer.retry({ delaySeconds: backoff(pointer.attempts, Number(env.RETRY_CAP_SECONDS)) });
  else pointer.ack();
}

/** Seconds until the next try. The cap spreads the retries over the queue's whole retention. */
export function backoff(attempts, cap) {
  return Math.min(cap, FIRST_RETRY_SECONDS * 2 ** Math.min(attempts - 1, 20));
}

/** Moves a message to the dead letters and returns its key there, or undefined when there is none. */
async function bury(env, key, reason) {
  return move(env, key, key.replace(MAIL, DEAD), { reason });
}

/** Takes a message back from the dead letters: an operator asked for it. */
async function revive(env, key) {
  return move(env, key, key.replace(DEAD, MAIL), {});
}

/** The copy is there before the original goes; done before, it is done. */
async function move(env, from, to, more) {
  const object = await env.SPOOL.get(from);
  if (!object) return (await env.SPOOL.head(to)) ? to : undefined;
  await env.SPOOL.put(to, object.body, { customMetadata: { ...object.customMetadata, ...more } });
  await env.SPOOL.delete(from);
  return to;
}

/**
 * Tells about dead letters. A pointer without a reason ran out of retries and brings its message here first; the
 * pointer of a message that had been revived still has the key that it had among the dead.
 */
export async function alarm(pointers, env) {
  const dead = [];
  for (const pointer of pointers) {
    const { key, reason = "not taken within the spool's time" } = pointer.body;
    const buried = pointer.body.reason || !key ? key : await bury(env, mailKey(pointer), reason);
    if (buried) dead.push({ key: buried, reason });
  }
  if (dead.length === 0) return;
  await env.QUEUE.send({ wake: true }); // the host is to know, too
  await tell(env, dead);
}

async function tell(env, letters) {
  const text = `mailplan ${env.SITE}: ${letters.length} spooled message(s) could not be delivered and are dead letters; see mailplan spool list`;
  console.error(JSON.stringify({ event: "dead letter", text, letters }));
  if (!env.ALERT_WEBHOOK) return;
  const response = await fetch(env.ALERT_WEBHOOK.trim(), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ site: env.SITE, kind: "dead-letter", text, letters }),
    signal: AbortSignal.timeout(30_000),
  });
  await response.body?.cancel();
  // Thrown, the queue brings the pointers again.
  if (!response.ok) throw new Error(`alert webhook answered ${response.status}`);
}
