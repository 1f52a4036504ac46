// Settings of the page, from the server.

/**
 * @typedef {object} Columns Names of attributes; empty ones are found by their usual names, empty lists are all.
 * @property {string} title
 * @property {string} price
 * @property {string} sale_price
 * @property {string} currency
 * @property {string} link
 * @property {string} in_stock
 * @property {string[]} card
 * @property {string[]} details
 * @property {string[]} filters
 * @property {string[]} hidden
 */

/**
 * @typedef {object} Settings
 * @property {string} name Name of the shop.
 * @property {string|null} currency Currency of prices whose item names none.
 * @property {boolean} scores Whether cards show scores.
 * @property {Record<string, Record<string, string>>} labels Names of attributes by language.
 * @property {Columns} columns
 * @property {number} photo_bytes Most bytes of a photo.
 */

/** @type {Settings} */
export const settings = await fetch("page.json").then(answer => answer.json());

/** Language of the page, for texts, numbers and plurals. */
export const language = document.documentElement.lang;
