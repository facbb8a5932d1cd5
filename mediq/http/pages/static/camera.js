// Pictures of cards: from the camera, or from a file that is made small enough to send.

const WANTED = { video: { facingMode: { ideal: "environment" }, width: { ideal: 1920 }, height: { ideal: 1080 } }, audio: false };
const QUALITY = 0.92;
const MOST_BYTES = Number(document.documentElement.dataset.uploadMaxSize);
const LONGEST_SIDE = 3000;
const LEAST_SIDE = 1000; // pixels; a smaller picture cannot be read
const SHRINK = 0.75;
const REASONS = { NotAllowedError: "denied", NotFoundError: "missing", OverconstrainedError: "missing", NotReadableError: "busy" };

/** There is no camera. The reason is "insecure", "denied", "missing" or "busy". */
export class NoCamera extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/** Show the camera in a video element. Returns a function that turns it off. Throws NoCamera. */
export async function startCamera(video) {
  if (!navigator.mediaDevices) throw new NoCamera("insecure");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia(WANTED);
  } catch (error) {
    throw new NoCamera(REASONS[error.name] || "busy");
  }
  video.srcObject = stream;
  video.muted = true;
  video.playsInline = true;
  const stop = () => {
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  };
  try {
    await video.play();
  } catch {
    stop(); // for example because the video was removed from the page meanwhile
    throw new NoCamera("busy");
  }
  return stop;
}

/** The present picture of the camera as a JPEG. */
export const takePicture = (video) => drawn(video, video.videoWidth, video.videoHeight);

/** A picture that can be sent: the file itself, or a smaller copy if the file is too large. */
export async function sendable(file) {
  if (file.size <= MOST_BYTES || !file.type.startsWith("image/")) return file;
  const image = new Image();
  const address = URL.createObjectURL(file);
  try {
    image.src = address;
    await image.decode();
    const longest = Math.max(image.naturalWidth, image.naturalHeight);
    for (let side = Math.min(longest, LONGEST_SIDE); side >= LEAST_SIDE; side *= SHRINK) {
      const smaller = await drawn(image, (image.naturalWidth * side) / longest, (image.naturalHeight * side) / longest);
      if (smaller.size <= MOST_BYTES) return smaller;
    }
    return file; // MediQ answers that the file is too large
  } catch {
    return file; // MediQ answers what is wrong with the file
  } finally {
    URL.revokeObjectURL(address);
  }
}

function drawn(source, width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.round(width), Math.round(height)];
  canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) =>
    canvas.toBlob((picture) => (picture ? resolve(picture) : reject(new NoCamera("busy"))), "image/jpeg", QUALITY));
}
