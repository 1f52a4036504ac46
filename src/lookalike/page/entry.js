// The way in, where there is a choice of galleries or a key is needed.

import {ApiError} from "./api.js";
import {withStyle} from "./dom.js";
import {galleryNames, showChoice} from "./galleries.js";
import {place} from "./place.js";
import {message, settings} from "./settings.js";

/** A part of the page. @template T @param {Promise<T>} part @returns {Promise<T>} @throws {ApiError} It cannot be loaded now. */
export const loaded = part =>
	part.catch(() => {
		throw new ApiError("unreachable", message(navigator.onLine ? "no_answer" : "offline"));
	});

/** Only some servers need keys. @returns {Promise<typeof import("./keys.js")>} */
const keys = () => loaded(withStyle("keys.css", import("./keys.js")));

let entering = null;

/**
 * Let the visitor in.
 * @param {ApiError|null} problem Why the key that was used is not taken.
 * @throws {ApiError} The server cannot be asked, or there is no such gallery.
 */
export const enter = problem => (entering ??= find(problem).finally(() => (entering = null)));

async function find(problem) {
	let why = problem && whyNot(problem);
	if (!problem && !settings.open) place.key ??= (await keys()).storedKey();
	for (;;) {
		if (why !== null || (!settings.open && !place.key)) place.key = await (await keys()).askForKey(why ?? "");
		try {
			const names = await galleryNames();
			if (place.gallery && !names.includes(place.gallery)) throw new ApiError("gallery", "");
			if (place.key) await (await keys()).acceptKey();
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
