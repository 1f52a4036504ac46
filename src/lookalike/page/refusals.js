// Why a photo is not searched with.

import {language, message} from "./settings.js";

/** Bytes as megabytes. */
const megabytesText = bytes =>
	new Intl.NumberFormat(language, {style: "unit", unit: "megabyte", maximumFractionDigits: 1}).format(bytes / 1e6);

/** @param {string} key Of a text. @param {Record<string, number>} [sizes] Bytes, for its places. */
export const reasonOf = (key, sizes = {}) =>
	message(key, Object.fromEntries(Object.entries(sizes).map(([name, bytes]) => [name, megabytesText(bytes)])));
