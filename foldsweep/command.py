"""The command `foldsweep`, which runs every program; `foldsweep --help` lists them.

Only the requested program is imported: most programs need torch or MLflow, which take seconds to
import.
"""

import sys
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class Program:
    """A program and its command line."""

    module: str
    """Module with a function `main`, which reads `sys.argv` and returns the exit code."""
    settings: str
    """Dotted name of the dataclass of its command line; empty if it has none."""
    does: str
    """Summary for the help, in one sentence."""


PROGRAMS = {
    "run": Program("sweeps.run", "sweeps.run.RunOptions", "Search for the best configuration."),
    "spaces": Program(
        "sweeps.spaces", "sweeps.spaces.SpacesSettings", "Show search spaces and their ranges."
    ),
    "sweeps": Program(
        "sweeps.catalogue",
        "sweeps.catalogue.CatalogueSettings",
        "List sweeps: state, best, size; delete one.",
    ),
    "compare": Program(
        "analysis.compare",
        "analysis.compare.CompareSettings",
        "Compare variants, with significance tests.",
    ),
    "report": Program(
        "analysis.report", "analysis.report.ReportSettings", "Write a comparison as one page."
    ),
    "figures": Program(
        "analysis.figures", "analysis.figures.FiguresSettings", "Draw figures into files."
    ),
    "ui": Program("analysis.ui", "analysis.ui.UiSettings", "Serve MLflow's pages of the sweeps."),
    "export": Program(
        "analysis.export",
        "analysis.export.ExportSettings",
        "Write the best configurations, or their trained models, to files.",
    ),
    "evaluate": Program(
        "sweeps.evaluate",
        "sweeps.evaluate.EvaluateSettings",
        "Train an exported configuration again and measure it on test rows.",
    ),
    "finalists": Program(
        "sweeps.finalists",
        "sweeps.finalists.FinalistsSettings",
        "Measure several exported configurations on the same test rows.",
    ),
    "predict": Program(
        "analysis.predict", "analysis.predict.PredictSettings", "Predict the rows of a new file."
    ),
    "reproduce": Program(
        "sweeps.reproduce",
        "sweeps.reproduction.settings.ReproduceSettings",
        "Repeat the rows of published reports.",
    ),
    "replay": Program("sweeps.replay", "", "Send waiting records to MLflow."),
    "completion": Program(
        "foldsweep.completion",
        "foldsweep.completion.CompletionSettings",
        "Print a completion script for bash, zsh or fish.",
    ),
}
"""All programs by name."""


def main() -> int:
    """Run the program that the command line names; returns its exit code."""
    from foldsweep.checks import nearest
    from foldsweep.errors import UserError

    name, *args = sys.argv[1:] or [""]
    if name in ("", "-h", "--help", "help"):
        print(overview())
        return 0 if name else 2
    if name == "--version":
        from importlib.metadata import version

        print(f"foldsweep {version('foldsweep')}")
        return 0
    if name not in PROGRAMS:
        raise UserError.of("command.command-unknown", command=name, hint=nearest(name, PROGRAMS))
    sys.argv = [f"foldsweep {name}", *args]
    code: int = import_module(PROGRAMS[name].module).main()
    return code


def overview() -> str:
    """Return the help of `foldsweep`: all programs, one per line."""
    width = max(map(len, PROGRAMS))
    lines = [f"  {name:{width}}  {program.does}" for name, program in PROGRAMS.items()]
    return "\n".join(
        [
            "usage: foldsweep COMMAND [options]",
            "",
            "Hyperparameter sweeps whose comparisons can be trusted.",
            "",
            *lines,
            "",
            "foldsweep COMMAND --help shows the options of one.",
        ]
    )


def run() -> None:
    """Run the command `foldsweep`; its entry point."""
    import foldsweep.early  # noqa: F401  before anything that takes long

    asked = PROGRAMS.get(sys.argv[1]) if len(sys.argv) > 1 else None
    if asked is not None:
        import_module(asked.module)  # while the handler of `early` ends the process on Ctrl-C
    from foldsweep.programs import run_program

    run_program(main)
