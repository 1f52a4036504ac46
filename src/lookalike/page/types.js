// Types of what several modules speak of. Browsers never load this file: nothing imports it but comments.

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
 * @property {"product"|"photo"} group What a card is.
 * @property {number|null} sharing_hours How long shared photos are kept; null if photos cannot be shared.
 * @property {Record<string, Record<string, string>>} labels Names of attributes by language.
 * @property {Columns} columns
 * @property {number} photo_bytes Most bytes of a photo.
 * @property {boolean} open Whether searching needs no key.
 * @property {boolean} events Whether the server is told what visitors do with matches.
 * @property {boolean} several Whether the server has several galleries.
 */

/**
 * @typedef {object} State
 * @property {string|null} item Id of the query item.
 * @property {string|null} photo Name of the stored query photo.
 * @property {number[]|null} box Box x1, y1, x2, y2 in pixels of the upright photo.
 * @property {string|null} garment Number of a garment of the photo, or `whole`; null for the server's choice.
 * @property {Record<string, number>|null} weights Weights by space; null for the server's defaults.
 * @property {Map<string, {values: (string|number|boolean)[], low: number|null, high: number|null}>} filters Filters by attribute.
 * @property {string|null} text Words.
 * @property {number|null} textWeight Weight of the words beside an item or photo, 0 to 1; null for the server's default.
 * @property {boolean|null} sameKind Whether only one kind is searched; null is where the photo probably shows one.
 * @property {number} shown Number of matches shown.
 * @property {string[]} like Ids of items to look like, beside the item or photo.
 * @property {string[]} unlike Ids of items to look less like.
 * @property {boolean} anyway Whether matches are shown though none is good.
 * @property {string|null} open Id of the item whose details are open.
 */

/**
 * @typedef {object} Garment
 * @property {number} number Place among the garments of its photo, from 1.
 * @property {string} kind
 * @property {[number, number, number, number]} box x1, y1, x2, y2 in pixels of the upright photo.
 */

/**
 * @typedef {object} Facet
 * @property {string} name
 * @property {string[]} kinds Types of the values: text, number, boolean.
 * @property {{value: string|number|boolean, count: number}[]} values Values, most frequent first.
 * @property {[number, number]|null} range Least and largest value, if all are numbers.
 */

/**
 * @typedef {object} Part Part of a photo that is looked at.
 * @property {number[]|null} box Drawn box, in pixels; null for a garment or the whole photo.
 * @property {Garment[]} garments Garments to choose from.
 * @property {number|null} chosen Number of the garment that is looked at.
 */

/**
 * @typedef {object} Search
 * @property {string} address Query string of the page.
 * @property {string|null} item
 * @property {string|null} photo Name of a stored photo.
 * @property {string|null} text
 * @property {string} label
 */

export {};
