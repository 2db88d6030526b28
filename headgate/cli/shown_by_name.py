"""Groups of commands about things with names: the name alone shows the thing."""

import click


class ShownByName(click.Group):
    """A group of things with names: ``table delays`` is ``table show delays``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a name that is none is the thing to show."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["show", *args]
        return super().resolve_command(ctx, args)
