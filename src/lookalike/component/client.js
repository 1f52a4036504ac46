// Requests to the HTTP API.

import {base, headersOf} from "./place.js";

const LONGEST_MS = 60_000; // a photo over a slow connection takes its time
const ATTEMPTS = 3;
const LONGEST_WAIT_S = 10;

/** Error of a request. `code` is that of the API, or `unreachable`. */
export class SearchError extends Error {
	/** @param {string} message @param {string} code @param {number} status */
	constructor(message, code, status) {
		super(message);
		this.code = code;
		this.status = status;
	}
}

/** @typedef {import("./place.js").Place} Place */

/** Search by the parts of a form; what is null or empty is left out. @param {Place} place @param {Record<string, any>} query @param {AbortSignal} signal */
export function search(place, query, signal) {
	return ask(place, "search", formOf(query), signal);
}

const GOOD_MS = 3_000_000; // a ticket is good for an hour
let ticket = {of: "", text: "", got: 0};

/** Ticket for photos; null without a key. @param {Place} place @param {AbortSignal} signal */
export async function photoTicket(place, signal) {
	if (!place.key) return null;
	const of = `${base(place)} ${place.key}`;
	if (ticket.of !== of || Date.now() - ticket.got > GOOD_MS) {
		const got = await ask(place, "photo-ticket", null, signal);
		ticket = {of, text: got.ticket, got: Date.now()};
	}
	return ticket.text;
}

function formOf(query) {
	const form = new FormData();
	for (const [name, value] of Object.entries(query)) {
		if (value === null || value === undefined || value === "" || value === false) continue;
		if (value instanceof Blob) form.set(name, value, value instanceof File ? value.name : "photo");
		else form.set(name, typeof value === "object" ? JSON.stringify(value) : String(value));
	}
	return form;
}

/** Post a form, or get what there is. @param {Place} place @param {string} path @param {FormData|null} body @param {AbortSignal} signal */
async function ask(place, path, body, signal) {
	for (let attempt = 1; ; attempt++) {
		const limit = AbortSignal.timeout(LONGEST_MS);
		let answer;
		try {
			answer = await fetch(`${base(place)}/${path}`, {
				method: body ? "POST" : "GET",
				headers: headersOf(place),
				body,
				credentials: "same-origin",
				signal: AbortSignal.any([signal, limit]),
			});
			if (answer.ok) return await answer.json();
		} catch (error) {
			signal.throwIfAborted();
			throw new SearchError(String(error), "unreachable", 0);
		}
		const {code = "failed", message = ""} = await answer.json().then(
			said => said.error ?? {},
			() => ({}),
		);
		const wait = Number(answer.headers.get("Retry-After"));
		if (!(wait > 0) || wait > LONGEST_WAIT_S || attempt === ATTEMPTS)
			throw new SearchError(message, code, answer.status);
		await new Promise(resolve => setTimeout(resolve, wait * 1000));
		signal.throwIfAborted();
	}
}
