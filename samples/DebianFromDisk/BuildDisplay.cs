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

        Bars bars = new(console);
        try
        {
            return await work(bars);
        }
        finally
        {
            await bars.EndAsync();
        }
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

    /// <summary>A bar for each step; a new one completes those before. Nothing is shown before the first report: mostly there is nothing to do.</summary>
    private sealed class Bars(IAnsiConsole console) : IProgress<DebianImageProgress>
    {
        private readonly Lock _lock = new();
        private readonly TaskCompletionSource _end = new();
        private readonly TaskCompletionSource<ProgressContext> _context = new();
        private Task _display = Task.CompletedTask;
        private ProgressTask? _task;

        public void Report(DebianImageProgress value)
        {
            lock (_lock)
            {
                ProgressContext context = _task is null ? Start() : _context.Task.Result;
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

        /// <summary>Leaves the terminal as it was, below the bars.</summary>
        public Task EndAsync()
        {
            _end.SetResult();
            return _display;
        }

        private ProgressContext Start()
        {
            _display = Task.Run(() => console.Progress()
                .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new ElapsedTimeColumn())
                .StartAsync(context =>
                {
                    _context.SetResult(context);
                    return _end.Task;
                }));
            return _context.Task.Result;
        }
    }
}
