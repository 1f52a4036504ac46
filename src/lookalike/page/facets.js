// Facets: attributes with their values, and which of them are worth a filter.

import {isNaming} from "./labels.js";
import {isHidden} from "./products.js";
import {settings} from "./settings.js";

const {filters: CHOSEN, link: LINK} = settings.columns;

/** No filter of an attribute. */
export const NONE = Object.freeze({values: [], low: null, high: null});

/** Whether all values are numbers. */
export const isNumbers = ({kinds}) => kinds.length === 1 && kinds[0] === "number";

/** Whether a facet is worth a filter: its values divide the items. */
export function isUseful(facet) {
	if (isHidden(facet.name) || facet.name === LINK || (CHOSEN.length && !CHOSEN.includes(facet.name))) return false;
	if (isNumbers(facet)) return facet.range !== null && facet.range[0] < facet.range[1];
	return (
		facet.values.length > 1 &&
		!isNaming(facet.name) &&
		facet.values[0].count > 2 &&
		facet.values.every(({value}) => String(value).length < 60)
	);
}
