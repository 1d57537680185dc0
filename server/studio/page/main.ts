const root: HTMLElement | null = document.getElementById("studio");
