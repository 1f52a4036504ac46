// Photos shared by a link, which the server keeps for a while.

import {copy} from "./clipboard.js";
import {keep} from "./kept.js";
import {message} from "./settings.js";

/**
 * Share a photo: by the device's own way where it has a screen to touch, else its link is copied.
 * @param {Blob} photo
 * @returns {Promise<string>} What happened.
 */
export async function share(photo) {
	const type = photo.type.startsWith("image/") ? photo.type : "image/jpeg"; // the server goes by the content
	const sent = await fetch("shared", {method: "POST", body: photo, headers: {"Content-Type": type}}).catch(() => null);
	if (!sent?.ok) return message("not_shared");
	const {id, hours} = await sent.json();
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
 * @returns {Promise<{address: string, problem: string|null}>} Query string with the kept photo instead.
 */
export async function addressOfShared(search) {
	const address = new URLSearchParams(search);
	const answer = await fetch(`shared/${encodeURIComponent(address.get("shared"))}`).catch(() => null);
	address.delete("shared");
	if (!answer?.ok) return {address: `?${address}`, problem: message("not_shared_any_more")};
	address.set("photo", await keep(await answer.blob(), message("shared_photo")));
	return {address: `?${address}`, problem: null};
}
