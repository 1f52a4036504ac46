// Client of the HTTP API.

import {base, headersOf, photoUrl as urlOfPhoto} from "./component/place.js";
import {place} from "./place.js";
import {message, settings} from "./settings.js";

export const LONGEST_MS = 30_000;
const TRIES = 4;
const LONGEST_WAIT_S = 5; // before a request is sent again
const KINDS = {401: "key", 404: "missing"};
const MOST_VALUES = 200; // of an attribute, to filter by

/**
 * Error of a request. `kind` is unreachable, slow, busy, key, gallery (none has the name), missing, refused or failed;
 * `wait` is the time in seconds after which a busy server may be asked again.
 */
export class ApiError extends Error {
	constructor(kind, said, code = "", wait = 0) {
		super(said);
		this.kind = kind;
		this.code = code;
		this.wait = wait;
	}
}

const GROUP = settings.group === "product" ? "product" : null;

/**
 * Search by a photo or an item, by words, or by both.
 * @param {Record<string, any>} query Parts of the API's form; what is null or false is left out.
 * @param {AbortSignal} [signal]
 * @param {(share: number) => void} [sent] Told which share of a photo is sent, from 0 to 1.
 */
export function search({photo, weights, ...others}, signal, sent) {
	const form = new FormData();
	if (photo) setPhoto(form, photo);
	if (weights) form.set("weights", JSON.stringify(weights));
	const said = Object.entries({offset: 0, group: GROUP, ...others}); // an offset on the first page too: so pages fit together
	for (const [name, value] of said) {
		if (name !== "box" && Array.isArray(value)) for (const one of value) form.append(name, one);
		else if (value || value === 0) form.set(name, String(value));
	}
	return ask("search", photo && sent ? {body: form, signal, sent} : {method: "POST", body: form, signal});
}

const setPhoto = (form, photo) => form.set("photo", photo, photo.name ?? "photo");

/** Garments of a photo. @returns {Promise<import("./types.js").Garment[]>} */
export async function getGarments(photo) {
	const form = new FormData();
	setPhoto(form, photo);
	const {photos} = await ask("garments", {method: "POST", body: form});
	return photos[0].garments.map((garment, at) => ({number: at + 1, ...garment}));
}

let finding = null;

/** Whether the server finds garments in photos; asked once. @returns {Promise<boolean>} */
export async function findsGarments() {
	finding ??= ask("info", {});
	try {
		return (await finding).garments;
	} catch (error) {
		finding = null;
		throw error;
	}
}

/** The server said that it does not find garments. */
export const findsNoGarments = () => (finding = Promise.resolve({garments: false}));

export const getItem = (id, signal) => ask(`items/${encodeURIComponent(id)}`, {signal});
export const getItems = (offset, limit, signal) => ask(`items?offset=${offset}&limit=${limit}`, {signal});
export const getFacets = (where, signal) =>
	ask(`facets?values=${MOST_VALUES}${where ? `&where=${encodeURIComponent(where)}` : ""}`, {signal});

export const THUMBNAIL = devicePixelRatio > 1.3 ? 640 : 360;

/** URL of an item's photo; `size` is the longest side in pixels. */
export const photoUrl = (id, size) => urlOfPhoto(place, id, size, place.ticket);

/** The bytes of an item's photo. @returns {Promise<Blob>} */
export const getPhoto = (id, size) => getBytes(urlOfPhoto(place, id, size, null));

/** The bytes of a photo that was shared by a link. @param {string} id @returns {Promise<Blob>} */
export const getShared = id => getBytes(`shared/${encodeURIComponent(id)}`);

async function getBytes(path) {
	const answer = await reach(path, {signal: null});
	if (!answer.ok) throw await errorOf(answer);
	return answer.blob().catch(() => {
		throw new ApiError("unreachable", message("answer_broke_off"));
	});
}

export const isThere = () =>
	fetch("healthz", {cache: "no-store", signal: AbortSignal.timeout(LONGEST_MS)}).then(
		answer => answer.ok,
		() => false,
	);

/** Ask for what is of the gallery of the page, or of another place. */
export async function ask(path, options, where = place) {
	const url = `${base(where)}/${path}`;
	for (let attempt = 1; ; attempt++) {
		const answer = await (options.sent ? upload(url, options) : reach(url, options));
		if (answer.ok) {
			await place.renew?.(); // before its photos are shown
			return await answer.json().catch(error => {
				if (options.signal?.aborted) throw error;
				throw new ApiError("unreachable", message("answer_broke_off"));
			});
		}
		const error = await errorOf(answer);
		if (error.kind !== "busy" || error.wait > LONGEST_WAIT_S || attempt === TRIES) throw error;
		await pause(error.wait * 1000, options.signal);
	}
}

async function reach(path, {signal, ...options}) {
	const limit = AbortSignal.timeout(LONGEST_MS);
	try {
		const signals = signal ? AbortSignal.any([signal, limit]) : limit;
		return await fetch(path, {headers: headersOf(place), ...options, signal: signals});
	} catch (error) {
		if (signal?.aborted) throw error;
		if (limit.aborted) throw new ApiError("unreachable", message("server_too_slow"));
		throw new ApiError("unreachable", message(navigator.onLine ? "no_answer" : "offline"));
	}
}

/** Send a form and tell how much of it is sent. @returns {Promise<Response>} */
function upload(path, {body, signal, sent}) {
	return new Promise((resolve, reject) => {
		signal?.throwIfAborted();
		const request = new XMLHttpRequest();
		const fail = (kind, key) => (finish(), reject(new ApiError(kind, message(key))));
		let isSent = false;
		let timer;
		const wait = () => {
			clearTimeout(timer);
			const late = () => (isSent ? fail("unreachable", "server_too_slow") : fail("slow", "connection_slow"));
			timer = setTimeout(() => (late(), request.abort()), LONGEST_MS);
		};
		const stop = () => (finish(), request.abort(), reject(signal.reason));
		const finish = () => (clearTimeout(timer), signal?.removeEventListener("abort", stop));
		request.upload.addEventListener("progress", ({loaded, total}) => (wait(), sent(Math.min(loaded / total, 0.99))));
		request.upload.addEventListener("load", () => ((isSent = true), wait(), sent(1)));
		request.addEventListener("load", () => {
			finish();
			const later = request.getResponseHeader("Retry-After");
			resolve(new Response(request.response, {status: request.status, headers: later ? {"Retry-After": later} : {}}));
		});
		request.addEventListener("error", () => {
			if (!navigator.onLine) fail("unreachable", "offline");
			else if (isSent) fail("unreachable", "no_answer");
			else isThere().then(there => (there ? fail("slow", "upload_broke_off") : fail("unreachable", "no_answer")));
		});
		signal?.addEventListener("abort", stop, {once: true});
		request.open("POST", path);
		for (const [name, value] of Object.entries(headersOf(place))) request.setRequestHeader(name, value);
		request.send(body);
		wait();
	});
}

async function errorOf(answer) {
	const said = await answer.json().then(
		body => body.error ?? {},
		() => ({}),
	);
	if (said.code === "too_slow") return new ApiError("slow", message("connection_slow"));
	const {status} = answer;
	const later = answer.headers.get("Retry-After");
	const named = said.code === "unknown_gallery" ? "gallery" : KINDS[status];
	const kind = later !== null ? "busy" : (named ?? (status < 500 ? "refused" : "failed"));
	return new ApiError(kind, said.message ?? String(status), said.code, Number(later) || 1);
}

function pause(milliseconds, signal) {
	return new Promise((resolve, reject) => {
		signal?.throwIfAborted();
		const timer = setTimeout(resolve, milliseconds);
		signal?.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), {once: true});
	});
}
