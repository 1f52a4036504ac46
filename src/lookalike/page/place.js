// Where the page searches: the gallery of its address, and the visitor's key.

/** `renew` gets a new `ticket` for photos when that is about to end. */
export const place = {
	endpoint: ".",
	gallery: new URLSearchParams(location.search).get("gallery") || null,
	/** @type {string|null} */
	key: null,
	/** @type {string|null} */
	ticket: null,
	/** @type {(() => Promise<void>)|null} */
	renew: null,
};
