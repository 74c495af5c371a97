"use strict";
// One player at a time, with a line in the spectrogram where it is. The page does without.
for (const player of document.querySelectorAll("audio")) {
  const picture = player.closest("li").querySelector(".picture");
  const head = picture && picture.querySelector(".head");
  const follow = () => {
    if (!head) return;
    if (player.duration) {
      head.style.display = "block";
      head.style.left = (100 * player.currentTime) / player.duration + "%";
    }
    if (!player.paused) requestAnimationFrame(follow);
  };
  player.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== player) other.pause();
    follow();
  });
  player.addEventListener("seeked", follow);
}
