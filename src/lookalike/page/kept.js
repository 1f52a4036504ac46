// Query photos and recent searches stored in this browser only.

import {place} from "./place.js";

const STORE = "photos";
const MOST = 20;
/** Photos of this window. */
export const here = new Map(); // for browsers without storage, such as in private windows

/** Store a photo. @returns {Promise<string>} its name */
export async function keep(blob, label) {
	const bytes = [...crypto.getRandomValues(new Uint8Array(6))];
	const name = bytes.map(byte => byte.toString(16).padStart(2, "0")).join("");
	const entry = {name, blob, label, at: Date.now()};
	here.set(name, entry);
	write(entry).catch(() => {});
	return name;
}

/** Stored photo of a name, or null. */
export async function kept(name) {
	if (!here.has(name)) {
		const entry = await request("readonly", store => store.get(name)).catch(() => undefined);
		if (entry) here.set(name, entry);
	}
	return here.get(name) ?? null;
}

async function write(entry) {
	await request("readwrite", store => store.put(entry));
	const all = await request("readonly", store => store.index("at").getAllKeys());
	for (const old of all.slice(0, -MOST)) await request("readwrite", store => store.delete(old));
}

/** Beginning of the names that searches are stored by. */
export const PREFIX = "lookalike-searches";
const SEARCHES = place.gallery ? `${PREFIX}/${place.gallery}` : PREFIX; // ids are those of one gallery
const MOST_SEARCHES = 12;

/** Recent searches, the last first. @returns {import("./types.js").Search[]} */
export function recentSearches() {
	try {
		const said = JSON.parse(localStorage.getItem(SEARCHES) ?? "[]");
		return Array.isArray(said) ? said.filter(one => typeof one?.address === "string") : [];
	} catch {
		return []; // no storage, or something else in it
	}
}

/** Store a search. @param {import("./types.js").Search} search */
export function remember(search) {
	const others = recentSearches().filter(({address}) => address !== search.address);
	writeSearches([search, ...others].slice(0, MOST_SEARCHES));
}

function writeSearches(searches) {
	try {
		localStorage.setItem(SEARCHES, JSON.stringify(searches));
	} catch {
		// without storage there are no recent searches
	}
}

let opened;
function database() {
	opened ??= new Promise((resolve, reject) => {
		const opening = indexedDB.open("lookalike", 1);
		opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, {keyPath: "name"}).createIndex("at", "at");
		opening.onsuccess = () => resolve(opening.result);
		opening.onerror = () => reject(opening.error);
	});
	return opened;
}

/** Ask the store of photos. */
export async function request(mode, ask) {
	const store = (await database()).transaction(STORE, mode).objectStore(STORE);
	return new Promise((resolve, reject) => {
		const asked = ask(store);
		asked.onsuccess = () => resolve(asked.result);
		asked.onerror = () => reject(asked.error);
	});
}
