// What an item is as a product, by the settings.

import {addressOf, priceOf as read, stockOf} from "./component/attributes.js";
import {language, settings} from "./settings.js";

const {columns, currency} = settings;

/** Attributes that a card shows in their own way. */
export const isSpecial = name =>
	[columns.price, columns.sale_price, columns.currency, columns.link, columns.in_stock].includes(name);

/** Whether the settings hide an attribute. */
export const isHidden = name => columns.hidden.includes(name);

const shown = ({attributes = {}}) => Object.fromEntries(Object.entries(attributes).filter(([name]) => !isHidden(name)));

export const linkOf = item => addressOf(shown(item)[columns.link]);
export const inStock = item => stockOf(shown(item)[columns.in_stock]);

/** Price as texts; `saved` is how much less it is on sale. */
export function priceOf(item) {
	const own = {[columns.currency]: item.attributes?.[columns.currency]};
	const price = read({...shown(item), ...own}, {columns, language, currency});
	const percent = new Intl.NumberFormat(language, {style: "percent"});
	return price && {...price, saved: price.share <= -0.01 ? percent.format(price.share) : null};
}
