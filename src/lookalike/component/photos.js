// Photos of queries, made small before they are sent.

const LONGEST_SIDE = 1280; // pixels; describing a photo takes far fewer
const BYTES_AS_IT_IS = 1_000_000;

/** A large photo scaled down and upright; one that this browser cannot decode as it is. @returns {Promise<Blob>} */
export async function prepared(photo) {
	if (photo.size <= BYTES_AS_IT_IS) return photo;
	const whole = await createImageBitmap(photo).catch(() => null);
	if (!whole) return photo;
	const scale = Math.min(1, LONGEST_SIDE / Math.max(whole.width, whole.height));
	const canvas = document.createElement("canvas");
	canvas.width = Math.max(1, Math.round(whole.width * scale));
	canvas.height = Math.max(1, Math.round(whole.height * scale));
	const brush = canvas.getContext("2d");
	brush.fillStyle = "#fff"; // what is transparent is white to the server too
	brush.fillRect(0, 0, canvas.width, canvas.height);
	brush.imageSmoothingQuality = "high";
	brush.drawImage(whole, 0, 0, canvas.width, canvas.height);
	whole.close();
	return new Promise(resolve => canvas.toBlob(blob => resolve(blob ?? photo), "image/jpeg", 0.92));
}
