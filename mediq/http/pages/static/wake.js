/** Keep the screen on for as long as the page is shown, where the browser can. */
export function stayAwake() {
  if (!("wakeLock" in navigator)) return;
  const lock = () => {
    if (document.visibilityState === "visible") navigator.wakeLock.request("screen").catch(() => {});
  };
  document.addEventListener("visibilitychange", lock);
  lock();
}
