// Posts one message to the ingest and reads its answer. Only the ingest's own words count: a page of the
// tunnel, of Access or of a firewall is no acknowledgement and no refusal, whatever its status.

/**
 * @param {{from: string, to: string}} envelope
 * @param {Uint8Array|ReadableStream} body the raw message, untouched
 * @param {string} digest Content-Digest of the body (RFC 9530), needed where requests are signed
 * @returns {Promise<{verdict: "delivered"|"refused"|"deferred"|"unreachable", http: number, text: string}>}
 *   deferred: the ingest did not take this message now; unreachable: it takes nothing now.
 */
export async function post(env, envelope, body, digest) {
  let response, text;
  try {
    response = await fetch(env.INGEST_URL, {
      method: "POST",
      headers: await headersFor(env, messageHeaders(envelope), digest),
      body,
      duplex: "half",
      redirect: "manual", // Access would lead to its sign-in page
      signal: AbortSignal.timeout(Number(env.TIMEOUT_MS)),
    });
    text = await response.text();
  } catch (error) {
    return { verdict: "unreachable", http: 0, text: `ingest: ${error.message}` };
  }
  return judge(response.status, parse(text));
}

/**
 * Tells the ingest how the spool stands, for its metrics. It goes the way that messages go, past the same guards. It throws
 * unless the ingest has taken note.
 * @param {{at: string, waiting: number, dead: number, oldest?: string, more?: boolean}} standing
 */
export async function report(env, standing) {
  const body = new TextEncoder().encode(JSON.stringify(standing));
  const headers = { "content-type": "application/vnd.mailplan.spool+json" };
  const response = await fetch(env.INGEST_URL, {
    method: "POST",
    headers: await headersFor(env, headers, await digestOf(body)),
    body,
    redirect: "manual",
    signal: AbortSignal.timeout(10_000),
  });
  await response.body?.cancel();
  if (response.status !== 204) throw new Error(`ingest answered ${response.status}`);
}

/** The verdict of an answer: its status and its JSON, undefined when it is no JSON of the ingest's. */
export function judge(http, answer) {
  const said = answer && typeof answer.status === "string" ? answer.status : "";
  const text = plain(answer?.message) || `ingest answered ${http}`;
  if ((http === 200 && said === "delivered") || (http === 207 && said === "partial")) return { verdict: "delivered", http, text };
  if ((http === 422 || http === 413) && said === "refused") return { verdict: "refused", http, text };
  // Of requests that are wrong, those are meant of which the message itself may be the cause.
  const later = said === "deferred" || (said === "invalid" && [400, 408, 415].includes(http));
  return { verdict: later ? "deferred" : "unreachable", http, text };
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** One line that may stand in an SMTP reply. */
function plain(text) {
  return typeof text === "string" ? text.replace(/[^\x20-\x7e]+/g, " ").trim().slice(0, 300) : "";
}

function messageHeaders({ from, to }) {
  return {
    "content-type": "message/rfc822",
    "x-mail-from": from || "<>", // an empty header may get lost on the way
    "x-rcpt-to": to,
  };
}

async function headersFor(env, headers, digest) {
  headers.authorization = `Bearer ${env.INGEST_TOKEN.trim()}`;
  if (digest) headers["content-digest"] = digest; // checked whenever it is given
  if (env.ACCESS_CLIENT_ID) {
    headers["cf-access-client-id"] = env.ACCESS_CLIENT_ID;
    headers["cf-access-client-secret"] = env.ACCESS_CLIENT_SECRET;
  }
  if (env.SIGNING_KEY) Object.assign(headers, await signature(env.SIGNING_KEY, headers, digest));
  return headers;
}

async function signature(secret, headers, digest) {
  const stamp = String(Math.floor(Date.now() / 1000));
  const nonce = crypto.randomUUID();
  const lines = ["mailplan-v1", "POST /v1/ingest", stamp, nonce, digest, headers["x-mail-from"] ?? "", headers["x-rcpt-to"] ?? "", ""];
  const encoder = new TextEncoder();
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret.trim()), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(lines.join("\n"))));
  return {
    "x-mailplan-timestamp": stamp,
    "x-mailplan-nonce": nonce,
    "x-mailplan-signature": "v1=" + Array.from(mac, (b) => b.toString(16).padStart(2, "0")).join(""),
  };
}

/** Content-Digest of the bytes, as RFC 9530 writes it. */
export async function digestOf(bytes) {
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return `sha-256=:${btoa(String.fromCharCode(...sum))}:`;
}
