"""The colours of the workbench."""

from textual.theme import Theme

# Every colour is one of xterm's 256, which is what a terminal behind SSH usually has.
calm = Theme(
    name="calm",
    primary="#5fafaf",
    secondary="#87afaf",
    accent="#5fafaf",
    success="#87af87",
    warning="#d7af5f",
    error="#d75f5f",
    foreground="#d0d0d0",
    background="#121212",
    surface="#121212",
    panel="#262626",
    dark=True,
    variables={
        "footer-key-foreground": "#5fafaf",
        "footer-background": "#121212",
        "border": "#5fafaf",
        "series-1": "#5fafaf",
        "series-2": "#d7af5f",
        "series-3": "#af87d7",
        "series-4": "#87af5f",
        "series-5": "#d78787",
        "series-6": "#5f87d7",
    },
)
