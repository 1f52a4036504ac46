// Photos shared by a link, which the server keeps for a while.

import {copy} from "./clipboard.js";
import {message} from "./settings.js";

/**
 * Share a photo: by the device's own way where it has a screen to touch, else its link is copied.
 * @param {Blob} photo
 * @param {(id: string) => string} linkTo Address of the search by the shared photo.
 * @returns {Promise<string>} What happened.
 */
export async function share(photo, linkTo) {
	const type = photo.type.startsWith("image/") ? photo.type : "image/jpeg"; // the server goes by the content
	const sent = await fetch("shared", {method: "POST", body: photo, headers: {"Content-Type": type}}).catch(() => null);
	if (!sent?.ok) return message("not_shared");
	const {id, hours} = await sent.json();
	const link = new URL(linkTo(id), document.baseURI).href;
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

/** The shared photo of an id; null if there is none any more. */
export async function sharedPhoto(id) {
	const answer = await fetch(`shared/${encodeURIComponent(id)}`).catch(() => null);
	return answer?.ok ? answer.blob() : null;
}
