// The notice of new verifications. The list itself does not move.
const pill = document.querySelector("a[data-live]");
if (pill) {
  let stream;
  const title = document.title;
  const start = () => {
    stream = new EventSource(pill.dataset.live);
    stream.addEventListener("new", (event) => {
      pill.textContent = event.data;
      pill.hidden = event.data.startsWith("0 ");
      document.title = pill.hidden ? title : `(${event.data}) ${title}`;
    });
  };
  const stop = () => { stream?.close(); stream = undefined; };
  // No polling for hidden pages.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) stop();
    else if (!stream) start();
  });
  addEventListener("pagehide", stop);
  addEventListener("pageshow", () => { if (!stream && !document.hidden) start(); });
}
