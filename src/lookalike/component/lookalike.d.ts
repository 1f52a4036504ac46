/** Types of the component for TypeScript, such as `import type {LookalikeSearch} from "./lookalike.js"`. */

export interface LookalikeQuery {
	/** Photo to search with. */
	photo?: Blob;
	/** Garment of the photo: `auto`, `whole`, a kind such as `dress`, or a number. */
	garment?: string;
	/** Words, alone or beside a photo or an item. */
	text?: string;
	/** Id of an item of the gallery. */
	id?: string;
}

export interface LookalikeMatch {
	rank: number;
	id: string;
	product: string | null;
	/** Weighted mean of the cosines, in [-1, 1]. */
	score: number;
	attributes: Record<string, unknown>;
}

export interface LookalikeAnswer {
	query: Record<string, unknown>;
	matches: LookalikeMatch[];
}

/** Events of the component; all bubble, and can be cancelled. */
export interface LookalikeEvents {
	/** Before a request. */
	"lookalike-search": CustomEvent<LookalikeQuery>;
	/** After an answer; when it is cancelled, the page shows the matches itself. */
	"lookalike-results": CustomEvent<LookalikeAnswer>;
	/** When a card is chosen; when it is cancelled, its link is not opened. */
	"lookalike-select": CustomEvent<LookalikeMatch>;
	/** When a search fails; the codes are those of the API, and `unreachable`. */
	"lookalike-error": CustomEvent<{code: string; message: string}>;
}

/** The element `<lookalike-search>`. */
export class LookalikeSearch extends HTMLElement {
	/** The last answer; null before the first. */
	answer: LookalikeAnswer | null;
	/** Search; an empty query clears the results. */
	search(query: LookalikeQuery): Promise<void>;
	/** Clear photo, words and results. */
	clear(): void;
}

declare global {
	interface HTMLElementTagNameMap {
		"lookalike-search": LookalikeSearch;
	}
	interface HTMLElementEventMap extends LookalikeEvents {}
}
