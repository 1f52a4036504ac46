// What comes before a search: the choice of a gallery, a key, and the shared photo of an address.

import {withStyle} from "./dom.js";
import {enter, loaded} from "./entry.js";
import {tell} from "./notices.js";
import {message} from "./settings.js";

/**
 * Let the visitor in, and fetch the shared photo of the address, which stays as it is until the photo is there, or is gone.
 * @param {{isIn: boolean, problem: import("./api.js").ApiError|null}} before Whether the visitor is in, and why a key is not taken.
 * @returns {Promise<string|null>} Query string with the photo; null if none was shared, or the visitor has gone on.
 * @throws {import("./api.js").ApiError} The server cannot be asked, or there is no such gallery.
 */
export async function arrive({isIn, problem}) {
	if (!isIn) await withStyle("galleries.css", enter(problem));
	const asked = location.search;
	if (!new URLSearchParams(asked).has("shared")) return null;
	const {addressOfShared} = await loaded(import("./share.js"));
	const {address, isGone} = await addressOfShared(asked);
	if (location.search !== asked) return null;
	if (isGone) tell(message("not_shared_any_more"));
	return address;
}
