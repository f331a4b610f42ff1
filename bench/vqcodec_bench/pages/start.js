writeHeadline();
setUpChart();
writeTables();
// What is shown stands behind this script, so that the page above is there before it is read.
document.addEventListener("DOMContentLoaded", MEDIUM.show);
