/** Client of Lookalike's HTTP API, for browsers and Node.js 20 and newer. */

import type {components} from "./schema.js";

type Schemas = components["schemas"];

export type Answer = Schemas["Answer"];
export type Match = Schemas["Match"];
export type Item = Schemas["Item"];
export type ItemPage = Schemas["Page"];
export type Facets = Schemas["Facets"];
export type Garment = Schemas["Garment"];
export type Info = Schemas["Info"];
export type ItemWrite = Schemas["ItemBody"];
export type ItemChange = Schemas["ItemPatch"];
export type BulkLine = Schemas["BulkItem"];
export type PhotoTicket = Schemas["PhotoTicket"];
export type BulkReport = Schemas["BulkReport"];

/** Search by items or words; the options are those of `POST /v1/search`. */
export type Question = Schemas["Question"];

/** Search by photos, beside which items and words may be given. */
export type PhotoQuestion = Omit<Schemas["SearchForm"], "photo" | "unlike" | "garment"> & {
	/** One photo, or several whose mean is the query. */
	photo: Blob | Blob[];
	/** Photos to look less like. */
	unlike?: Blob | Blob[];
	/** Garment to search with: `auto`, `whole`, a kind such as `dress`, or a number. */
	garment?: string;
};

/** How a client reaches the server. */
export interface Options {
	/** Address of the server, such as `https://search.shop.example`. */
	endpoint: string;
	/** Key or token, sent as `Authorization: Bearer`; not needed where the server is open. */
	key?: string;
	/** Gallery, where the server has several; without it, the first one. */
	gallery?: string;
	/** Longest time for one attempt, in milliseconds. */
	timeout?: number;
	/** Number of attempts while the server is busy. */
	attempts?: number;
	/** Replacement of `fetch`. */
	fetch?: typeof fetch;
}

/** What one call may set. */
export interface CallOptions {
	/** Cancels the call. */
	signal?: AbortSignal;
}

/** Error of a request: of the server, or of the way to it (`status` is then 0 and `code` is `unreachable`). */
export class LookalikeError extends Error {
	override name = "LookalikeError";

	/**
	 * @param message Sentence for people.
	 * @param code Code for programs, such as `unknown_item`; the API's documentation lists them.
	 * @param status HTTP status.
	 * @param details Further facts of the error, by name.
	 * @param requestId Id of the request in the server's log.
	 */
	constructor(
		message: string,
		readonly code: string,
		readonly status: number,
		readonly details: Readonly<Record<string, unknown>> = {},
		readonly requestId: string | null = null,
	) {
		super(message);
	}
}

const TIMEOUT_MS = 30_000;
const ATTEMPTS = 4;
const LONGEST_WAIT_S = 30;

/** A server, or one of its galleries. */
export class Lookalike {
	readonly #base: string;
	readonly #options: Options;

	/** @throws {TypeError} The endpoint is not an address, or the number of attempts or the time is not above 0. */
	constructor(options: Options) {
		const {endpoint, gallery, timeout = TIMEOUT_MS, attempts = ATTEMPTS} = options;
		if (!(timeout > 0) || !(attempts >= 1)) throw new TypeError("timeout must be above 0, and attempts at least 1");
		const root = new URL(endpoint).href.replace(/\/*$/, "");
		this.#base = gallery === undefined ? `${root}/v1` : `${root}/v1/${encodeURIComponent(gallery)}`;
		this.#options = options;
	}

	/** Search by items, words, or photos. */
	search(question: Question | PhotoQuestion, call: CallOptions = {}): Promise<Answer> {
		const isForm = "photo" in question;
		return this.#ask("POST", "search", {...call, body: isForm ? formOf(question) : asJson(question)});
	}

	/** Garments of a photo, the most prominent first; boxes are x1, y1, x2, y2 in pixels of the upright photo. */
	async findGarments(photo: Blob, call: CallOptions = {}): Promise<Garment[]> {
		const found: Schemas["GarmentsFound"] = await this.#ask("POST", "garments", {...call, body: formOf({photo})});
		return found.photos[0]?.garments ?? [];
	}

	/** One item. */
	item(id: string, call: CallOptions = {}): Promise<Item> {
		return this.#ask("GET", `items/${encodeURIComponent(id)}`, call);
	}

	/** A page of the items that a filter passes, in the order of adding. */
	items(page: {where?: string; offset?: number; limit?: number} = {}, call: CallOptions = {}): Promise<ItemPage> {
		return this.#ask("GET", `items${query(page)}`, call);
	}

	/** Values and counts of each attribute among the items that a filter passes. */
	facets(of: {where?: string} = {}, call: CallOptions = {}): Promise<Facets> {
		return this.#ask("GET", `facets${query(of)}`, call);
	}

	/** Spaces, limits and abilities of the gallery. */
	info(call: CallOptions = {}): Promise<Info> {
		return this.#ask("GET", "info", call);
	}

	/** Address of an item's photo, or of a thumbnail whose longest side has `size` pixels; `ticket` is that of `photoTicket`. */
	photoUrl(id: string, {size, ticket}: {size?: number; ticket?: string} = {}): string {
		return `${this.#base}/items/${encodeURIComponent(id)}/photo${query({size, ticket})}`;
	}

	/** Ticket for photos where these need a key, since an `<img>` cannot send one; `expires` is in seconds since 1970. */
	photoTicket(call: CallOptions = {}): Promise<PhotoTicket> {
		return this.#ask("GET", "photo-ticket", call);
	}

	/** Add an item with its photo, or replace it; without a photo, replace its product and attributes. */
	putItem(id: string, item: Omit<ItemWrite, "photo_url"> & {photo?: Blob}, call: CallOptions = {}): Promise<Item> {
		const body = item.photo === undefined ? asJson(item) : formOf({...item, box: item.box?.join(",")});
		return this.#ask("PUT", `items/${encodeURIComponent(id)}`, {...call, body});
	}

	/** Change attributes of an item. */
	patchItem(id: string, change: ItemChange, call: CallOptions = {}): Promise<Item> {
		return this.#ask("PATCH", `items/${encodeURIComponent(id)}`, {...call, body: asJson(change)});
	}

	/** Remove an item. */
	async deleteItem(id: string, call: CallOptions = {}): Promise<void> {
		await this.#ask("DELETE", `items/${encodeURIComponent(id)}`, call);
	}

	/** Write many items at once; the report has the status of each line. */
	putItems(lines: Iterable<BulkLine>, call: CallOptions = {}): Promise<BulkReport> {
		const text = Array.from(lines, line => `${JSON.stringify(line)}\n`).join("");
		return this.#ask("POST", "items", {...call, body: new Blob([text], {type: "application/x-ndjson"})});
	}

	async #ask<T>(method: string, path: string, {signal, body}: CallOptions & {body?: FormData | Blob}): Promise<T> {
		const {key, attempts = ATTEMPTS} = this.#options;
		const headers: Record<string, string> = {Accept: "application/json"};
		if (key !== undefined) headers["Authorization"] = `Bearer ${key}`;
		const request: RequestInit = {method, headers, ...(body && {body}), credentials: "omit"};
		for (let attempt = 1; ; attempt++) {
			const {answer, text} = await this.#reach(`${this.#base}/${path}`, request, signal);
			if (answer.ok) return (text === "" ? undefined : JSON.parse(text)) as T;
			const wait = Number(answer.headers.get("Retry-After"));
			const error = errorOf(answer, text);
			if (!(wait > 0) || wait > LONGEST_WAIT_S || attempt >= attempts) throw error;
			await pause(wait * 1000, signal);
		}
	}

	/** The answer and its body, both within the time limit. */
	async #reach(
		url: string,
		request: RequestInit,
		signal?: AbortSignal,
	): Promise<{answer: Response; text: string}> {
		const {timeout = TIMEOUT_MS, fetch: reach = fetch} = this.#options;
		signal?.throwIfAborted();
		const stop = new AbortController();
		const timer = setTimeout(() => stop.abort(), timeout);
		const cancel = () => stop.abort();
		signal?.addEventListener("abort", cancel, {once: true});
		try {
			const answer = await reach(url, {...request, signal: stop.signal});
			return {answer, text: await answer.text()};
		} catch (error) {
			signal?.throwIfAborted();
			const why = stop.signal.aborted ? `no answer within ${timeout} ms` : String(error);
			throw new LookalikeError(`cannot reach ${new URL(url).origin}: ${why}`, "unreachable", 0);
		} finally {
			clearTimeout(timer);
			signal?.removeEventListener("abort", cancel);
		}
	}
}

function asJson(value: object): Blob {
	return new Blob([JSON.stringify(value)], {type: "application/json"});
}

/** A form: blobs are files, lists several parts of one name, other objects JSON. */
function formOf(parts: object): FormData {
	const form = new FormData();
	for (const [name, value] of Object.entries(parts) as [string, unknown][]) {
		for (const part of Array.isArray(value) ? (value as unknown[]) : [value]) {
			if (part === undefined || part === null) continue;
			if (part instanceof Blob) form.append(name, part, part instanceof File ? part.name : name);
			else form.append(name, typeof part === "object" ? JSON.stringify(part) : String(part));
		}
	}
	return form;
}

function query(parameters: Record<string, string | number | undefined>): string {
	const given = Object.entries(parameters).filter(([, value]) => value !== undefined);
	return given.length ? `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : "";
}

function errorOf(answer: Response, text: string): LookalikeError {
	let told: Record<string, unknown> = {};
	try {
		told = (JSON.parse(text) as {error?: Record<string, unknown>}).error ?? {};
	} catch {
		// not an answer of the API, but of something on the way to it
	}
	const {code = "failed", message = `the server answered with ${answer.status}`, ...details} = told;
	return new LookalikeError(String(message), String(code), answer.status, details, answer.headers.get("X-Request-Id"));
}

function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(done, milliseconds);
		const cancel = () => (clearTimeout(timer), reject(signal?.reason));
		function done() {
			signal?.removeEventListener("abort", cancel);
			resolve();
		}
		signal?.addEventListener("abort", cancel, {once: true});
	});
}
