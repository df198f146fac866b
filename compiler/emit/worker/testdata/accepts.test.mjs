// The generated sites of recipients_test.go: the set must answer as the routes did.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

const { accepts } = await import(`${process.env.WORKER_DIR}/lookup.mjs`);

test("the set answers as the routes do", async () => {
  for (const { set, address, want } of JSON.parse(readFileSync(process.env.PROBES))) {
    for (const [i, one] of address.entries()) {
      assert.equal(await accepts(set, process.env.KEY, one), want[i], `${one} in ${JSON.stringify(set.domains)}`);
    }
  }
});
