// Photos shared by a link, which the server keeps for a while.

import {LONGEST_MS, getShared} from "./api.js";
import {copy} from "./clipboard.js";
import {headersOf} from "./component/place.js";
import {keep} from "./kept.js";
import {place} from "./place.js";
import {message} from "./settings.js";

/**
 * Share a photo: by the device's own way where it has a screen to touch, else its link is copied.
 * @param {Blob} photo
 * @returns {Promise<string>} What happened.
 */
export async function share(photo) {
	const type = photo.type.startsWith("image/") ? photo.type : "image/jpeg"; // the server goes by the content
	const headers = {"Content-Type": type, ...headersOf(place)};
	const signal = AbortSignal.timeout(LONGEST_MS);
	const sent = await fetch("shared", {method: "POST", body: photo, headers, signal})
		.then(answer => (answer.ok ? answer.json() : null))
		.catch(() => null);
	if (!sent) return message("not_shared");
	const {id, hours} = sent;
	const address = new URLSearchParams(location.search);
	for (const part of ["photo", "open"]) address.delete(part);
	address.set("shared", id);
	const link = new URL(`?${address}`, document.baseURI).href;
	const isTouch = matchMedia("(pointer: coarse)").matches;
	const isGiven =
		isTouch && navigator.share
			? await navigator.share({url: link}).then(
					() => true,
					() => false,
				)
			: false;
	if (!isGiven && !(await copy(link, document.body))) return link;
	return message(isGiven ? "shared" : "link_copied", {count: Math.round(hours)});
}

/**
 * Fetch and keep the shared photo of an address.
 * @param {string} search Query string with `shared`.
 * @returns {Promise<{address: string, isGone: boolean}>} Query string with the kept photo instead; without one if it is gone.
 * @throws {import("./api.js").ApiError} It is not known whether the photo is still shared.
 */
export async function addressOfShared(search) {
	const address = new URLSearchParams(search);
	const id = address.get("shared");
	address.delete("shared");
	try {
		address.set("photo", await keep(await getShared(id), message("shared_photo")));
	} catch (error) {
		if (error.kind !== "missing") throw error;
		return {address: `?${address}`, isGone: true};
	}
	return {address: `?${address}`, isGone: false};
}
