// What a card shows of a match, and the columns that it is read from.

import {addressOf, priceOf, stockOf} from "./attributes.js";

/** Names of the columns. */
export const COLUMNS = {
	title: "title",
	link: "link",
	price: "price",
	sale_price: "sale_price",
	currency: "currency",
	in_stock: "in_stock",
};

/** Columns by what they hold, from text such as `title:name, price:cost`. @param {string|null} text */
export function columnsOf(text) {
	const pairs = (text ?? "").split(",").map(pair => pair.split(":").map(part => part.trim()));
	return {...COLUMNS, ...Object.fromEntries(pairs.filter(([what, column]) => what in COLUMNS && column))};
}

/**
 * What a card shows of a match.
 * @param {any} match
 * @param {{columns: typeof COLUMNS, language: string, currency: string|null}} reading
 */
export function productOf({id, product, attributes}, reading) {
	const {columns} = reading;
	const price = priceOf(attributes, reading);
	return {
		title: String(attributes[columns.title] ?? product ?? id),
		link: addressOf(attributes[columns.link]),
		price: price?.now ?? "",
		before: price?.before ?? "",
		sold: stockOf(attributes[columns.in_stock]) === false,
	};
}
