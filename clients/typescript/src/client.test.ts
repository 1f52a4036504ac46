// Against a running server: `LOOKALIKE_ENDPOINT`, `LOOKALIKE_TOKEN` and `LOOKALIKE_PHOTO`, a photo of one of its items.

import assert from "node:assert/strict";
import {readFile} from "node:fs/promises";
import {test} from "node:test";

import {Lookalike, LookalikeError} from "./index.js";
import type {Answer, Question} from "./index.js";

const {LOOKALIKE_ENDPOINT: endpoint = "", LOOKALIKE_TOKEN: token = "", LOOKALIKE_PHOTO: photoFile = ""} = process.env;
const client = new Lookalike({endpoint, key: token});

const photo = async () => new Blob([await readFile(photoFile)], {type: "image/jpeg"});
const ids = (answer: Answer) => answer.matches.map(match => match.id);

/** The error that a call ends with. */
async function refused(call: Promise<unknown>): Promise<LookalikeError> {
	const error: unknown = await call.then(
		() => assert.fail("the call succeeded"),
		(why: unknown) => why,
	);
	assert.ok(error instanceof LookalikeError, String(error));
	return error;
}

test("an item, its page and its filter", async () => {
	const {total, items} = await client.items({limit: 3});
	assert.equal(items.length, 3);
	const first = items[0]!;
	assert.deepEqual(await client.item(first.id), first);
	assert.ok(total > 3);
	const question: Question = {id: first.id, k: 2, offset: 0};
	const answer = await client.search(question);
	assert.equal(answer.matches.length, 2);
	assert.ok(!ids(answer).includes(first.id));
	const next = await client.search({...question, offset: 2});
	assert.deepEqual(next.matches.map(({rank}) => rank), [3, 4]);
	const color = String(answer.matches[0]!.attributes["colour"]);
	const filtered = await client.search({id: first.id, k: 5, where: `colour = '${color}'`});
	assert.ok(filtered.matches.length > 0);
	for (const {attributes} of filtered.matches) assert.equal(attributes["colour"], color);
	const {facets} = await client.facets();
	assert.ok(facets.some(({name}) => name === "colour"));
});

test("a photo finds its item, in a box too, and words beside it", async () => {
	const whole = await client.search({photo: await photo(), k: 1, garment: "whole"});
	assert.ok(whole.matches[0]!.score > 0.99);
	const several = await client.search({photo: [await photo(), await photo()], k: 1});
	assert.equal(several.matches[0]!.id, whole.matches[0]!.id);
	const boxed = await client.search({photo: await photo(), box: "0,0,40,40", weights: {color: 1}});
	assert.deepEqual(boxed.query.box, [0, 0, 40, 40]);
	const words = await client.search({text: "blue shirt", k: 4});
	assert.equal(words.matches.length, 4);
	const shown = await fetch(client.photoUrl(whole.matches[0]!.id, {size: 96}));
	assert.equal(shown.status, 200);
	assert.match(shown.headers.get("Content-Type") ?? "", /^image\//);
});

test("garments of a photo", async () => {
	const garments = await client.findGarments(await photo());
	for (const {box, kind, score} of garments) {
		assert.equal(box.length, 4);
		assert.equal(typeof kind, "string");
		assert.ok(score > 0 && score <= 1);
	}
});

test("items are written, changed and removed", async () => {
	const id = "a new one/ü?#";
	const attributes = {price: 12.5, color: "teal"};
	const put = await client.putItem(id, {product: "new", attributes, photo: await photo()});
	assert.equal(put.id, id);
	assert.deepEqual((await client.item(id)).attributes, attributes);
	const changed = await client.patchItem(id, {attributes: {price: 9}});
	assert.deepEqual(changed.attributes, {price: 9, color: "teal"});
	const report = await client.putItems([{id, attributes: {price: 7}}, {id: "unknown", attributes: {}}]);
	assert.deepEqual(
		report.lines.map(line => line.status),
		["updated", "failed"],
	);
	assert.equal((await client.item(id)).attributes["price"], 7);
	const part = await client.putItem(id, {photo: await photo(), box: [1, 2, 40, 50]});
	assert.deepEqual(part.box, [1, 2, 40, 50]);
	await client.deleteItem(id);
	assert.equal((await refused(client.item(id))).code, "unknown_item");
});

test("errors have a code, a status and the id of the request", async () => {
	const missing = await refused(client.item("none"));
	assert.equal(missing.code, "unknown_item");
	assert.equal(missing.status, 404);
	assert.match(missing.requestId ?? "", /^[A-Za-z0-9._-]+$/);
	const filter = await refused(client.search({text: "shirt", where: "price <"}));
	assert.equal(filter.code, "bad_filter");
	assert.equal(filter.status, 400);
	const stranger = await refused(new Lookalike({endpoint}).deleteItem("none"));
	assert.equal(stranger.status, 401);
	const nobody = new Lookalike({endpoint: "http://127.0.0.1:9", attempts: 1});
	assert.equal((await refused(nobody.info())).code, "unreachable");
	assert.throws(() => new Lookalike({endpoint: "no address"}), TypeError);
});

test("a busy server is asked again, as often as it was said", async () => {
	let asked = 0;
	const busy: typeof fetch = async () => {
		asked++;
		const body = JSON.stringify({error: {code: "busy", message: "busy"}});
		return new Response(body, {status: 429, headers: {"Retry-After": "0.01"}});
	};
	const patient = new Lookalike({endpoint, fetch: busy, attempts: 3});
	assert.equal((await refused(patient.info())).code, "busy");
	assert.equal(asked, 3);
});

test("a call is cancelled, and a silent server given up", async () => {
	const silent: typeof fetch = (_, init) =>
		new Promise((_, reject) => init?.signal?.addEventListener("abort", () => reject(new Error("aborted"))));
	const impatient = new Lookalike({endpoint, fetch: silent, timeout: 20});
	assert.match((await refused(impatient.info())).message, /no answer within 20 ms/);
	const cancelled = AbortSignal.abort(new Error("changed my mind"));
	await assert.rejects(client.info({signal: cancelled}), /changed my mind/);
});
