using Spectre.Console;
using Uml.Hosting.Debian;

namespace DebianFromDisk;

/// <summary>Shows how far the image is: a bar on a terminal, lines elsewhere. On standard error, because standard output is the guest's.</summary>
internal static class BuildDisplay
{
    /// <summary>Does the work while showing its progress.</summary>
    public static async Task<T> ShowAsync<T>(Func<IProgress<DebianImageProgress>, Task<T>> work)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        if (!console.Profile.Out.IsTerminal)
        {
            return await work(new Lines());
        }

        return await console.Progress()
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new ElapsedTimeColumn())
            .StartAsync(context => work(new Bars(context)));
    }

    /// <summary>A line for each step, and for each tenth of it.</summary>
    private sealed class Lines : IProgress<DebianImageProgress>
    {
        private readonly Lock _lock = new();
        private (string Step, int Tenth) _last = ("", 0);

        public void Report(DebianImageProgress value)
        {
            lock (_lock)
            {
                int tenth = (int)value.Percent / 10;
                if (value.Step != _last.Step || tenth > _last.Tenth)
                {
                    _last = (value.Step, tenth);
                    Console.Error.WriteLine(tenth == 0 ? value.Step : $"{value.Step}: {tenth * 10} %");
                }
            }
        }
    }

    /// <summary>A bar for each step; a new one completes those before.</summary>
    private sealed class Bars(ProgressContext context) : IProgress<DebianImageProgress>
    {
        private readonly Lock _lock = new();
        private ProgressTask? _task;

        public void Report(DebianImageProgress value)
        {
            lock (_lock)
            {
                string description = Markup.Escape(value.Step);
                if (_task?.Description != description)
                {
                    if (_task is not null)
                    {
                        _task.Value = _task.MaxValue;
                        _task.StopTask();
                    }

                    _task = context.AddTask(description);
                }

                _task.Value = value.Percent;
            }
        }
    }
}
