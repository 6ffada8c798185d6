// The pill that says how many have come since the page was made. Nothing on the page moves.
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
  // A page that nobody looks at asks for nothing.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) stop();
    else if (!stream) start();
  });
  addEventListener("pagehide", stop);
  addEventListener("pageshow", () => { if (!stream && !document.hidden) start(); });
}
