// The way in, where there is a choice of galleries or a key is needed.

import {ApiError, ask} from "./api.js";
import {byId, make} from "./dom.js";
import {acceptKey, askForKey, storedKey} from "./keys.js";
import {place} from "./place.js";
import {message, settings} from "./settings.js";

let entering = null;

/**
 * Let the visitor in.
 * @param {ApiError|null} problem Why the key that was used is not taken.
 * @throws {ApiError} The server cannot be asked, or there is no such gallery.
 */
export const enter = problem => (entering ??= find(problem).finally(() => (entering = null)));

async function find(problem) {
	let why = problem && whyNot(problem);
	if (!problem && !settings.open) place.key ??= storedKey();
	for (;;) {
		if (why !== null || (!settings.open && !place.key)) place.key = await askForKey(why ?? "");
		try {
			const {galleries} = await ask("galleries", {}, {...place, gallery: null});
			const names = galleries.map(({name}) => name);
			if (place.gallery && !names.includes(place.gallery)) throw new ApiError("gallery", "");
			if (place.key) await acceptKey();
			return showChoice(names);
		} catch (error) {
			const isRefused = error.kind === "key" || (place.key && error.code === "foreign_origin");
			if (!isRefused) throw error;
			why = whyNot(error);
		}
	}
}

/** Why a key is not taken; empty if none was sent. */
function whyNot({code}) {
	if (!place.key) return "";
	return message(code === "foreign_origin" ? "key_of_elsewhere" : "key_unknown");
}

/** Choice among galleries, at the top of the page. A photo and words are searched in the other one too. @param {string[]} names */
function showChoice(names) {
	if (names.length < 2 || byId("galleries")) return;
	const options = names.map(name => make("option", {value: name}, name));
	const label = {id: "galleries", "aria-label": message("catalogue"), onchange: () => go(names, select.value)};
	const select = make("select.galleries", label, ...options);
	select.value = place.gallery ?? names[0];
	document.querySelector(".mark").after(select);
	addEventListener("pageshow", () => (select.value = place.gallery ?? names[0])); // after going back to this page
}

function go(names, name) {
	const here = new URLSearchParams(location.search);
	const there = new URLSearchParams();
	for (const part of ["photo", "text", "lang"]) if (here.has(part)) there.set(part, here.get(part));
	if (name !== names[0]) there.set("gallery", name); // addresses without a name mean the first
	location.assign(`${location.pathname}?${there}`.replace(/\?$/, ""));
}
