// What the tests share: an ingest that answers as told, a message as Email Routing hands it over, and a check
// of what was posted by the words of runtime/ingest's openapi.yaml.
import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";

export const settings = {
  INGEST_URL: "https://mail-api.example.com/v1/ingest",
  INGEST_TOKEN: "a token for tests only\n",
  DIGEST_KEY: "a key for tests only",
  MAX_BYTES: String(25 << 20),
  TIMEOUT_MS: "40000",
  SITE: "home",
  SIGNING_KEY: "another key for tests only\n",
};

export const answers = {
  delivered: () => json(200, "delivered", "2.0.0 delivered"),
  refused: () => json(422, "refused", "5.7.1 contains a virus"),
  deferred: () => json(503, "deferred", "4.2.2 mailbox is full"),
  invalid: (http) => json(http, "invalid", "wrong"),
  page: (http) => () => new Response("<html>a page", { status: http, headers: { "content-type": "text/html" } }),
};

export function json(http, status, message) {
  return new Response(JSON.stringify({ status, message, recipients: [] }), { status: http });
}

const reportType = "application/vnd.mailplan.spool+json";

/** Whether a request is no message but tells how the spool stands. */
export function isReport(headers) {
  return new Headers(headers).get("content-type") === reportType;
}

/** Asserts that a report is authorised, and signed, and returns it. */
export function checkReport(headers, body) {
  checkSigned(headers, body, reportType);
  return JSON.parse(body.toString());
}

/** Asserts that the request is authorised, and signed over what it carries, and returns its envelope. */
export function checkRequest(headers, body) {
  checkSigned(headers, body, "message/rfc822");
  return { from: headers.get("x-mail-from"), to: headers.get("x-rcpt-to") };
}

function checkSigned(headers, body, type) {
  const at = (name) => headers.get(name) ?? "";
  assert.equal(at("authorization"), "Bearer a token for tests only");
  assert.equal(at("content-type"), type);
  const digest = `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
  assert.equal(at("content-digest"), digest);
  assert.match(at("x-mailplan-nonce"), /^[A-Za-z0-9_-]{16,64}$/);
  assert.ok(/^\d+$/.test(at("x-mailplan-timestamp")));
  const text = ["mailplan-v1", "POST /v1/ingest", at("x-mailplan-timestamp"), at("x-mailplan-nonce"), digest, at("x-mail-from"), at("x-rcpt-to"), ""].join("\n");
  assert.equal(at("x-mailplan-signature"), "v1=" + createHmac("sha256", "another key for tests only").update(text).digest("hex"));
}

/** A message as the runtime hands it over; rejects collects what setReject is told. */
export function message(raw, { from = "eve@sender.example", to = "alice@example.com", size = raw.length } = {}) {
  const rejects = [];
  return { from, to, raw: new Response(raw).body, rawSize: size, rejects, setReject: (reason) => void rejects.push(reason) };
}
