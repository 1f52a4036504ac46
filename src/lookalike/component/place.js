// Where to search: a server, one of its galleries, and the key.

/**
 * @typedef {object} Place
 * @property {string} endpoint Address of the server.
 * @property {string|null} gallery Gallery, where the server has several.
 * @property {string|null} key
 */

/** @param {Place} place */
export function base({endpoint, gallery}) {
	const root = new URL(endpoint, document.baseURI).href.replace(/\/*$/, "");
	return `${root}/v1${gallery ? `/${encodeURIComponent(gallery)}` : ""}`;
}

/** @param {Place} place @returns {Record<string, string>} */
export const headersOf = ({key}) => (key ? {Authorization: `Bearer ${key}`} : {});

/** Address of an item's photo; its longest side has `size` pixels. @param {Place} place @param {string|null} ticket Of `photoTicket`. */
export const photoUrl = (place, id, size, ticket) =>
	`${base(place)}/items/${encodeURIComponent(id)}/photo?size=${size}${ticket ? `&ticket=${encodeURIComponent(ticket)}` : ""}`;
