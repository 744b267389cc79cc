using Uml.Devices.Consoles;
using Uml.Hosting.Testing;

namespace Uml.Hosting.Tests.Testing;

/// <summary>A shell that is disposed or cancelled, from any thread, in any state of what it does.</summary>
[TestFixture]
[CancelAfter(60_000)]
[NonParallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class ShellDisposalTests : IDisposable
{
    private readonly ScriptedGuest _guest = new();
    private GuestShell _shell = null!;

    [SetUp]
    public async Task AttachAsync() => _shell = await GuestShell.AttachAsync(_guest.Console);

    public void Dispose()
    {
        _shell.Dispose();
        _guest.Dispose();
    }

    [TestCase('n')]
    [TestCase('w')]
    [TestCase('r')]
    [TestCase('k')]
    public async Task Disposing_ends_the_call_and_those_that_wait_for_their_turn(char unanswered, CancellationToken token)
    {
        var came = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        bool killed = false;
        using var source = new CancellationTokenSource();
        _guest.OnFrame = frame =>
        {
            killed |= frame.Kind == 'k';
            if (frame.Kind == 'r')
            {
                _guest.Tell('b', frame.Number, "");
            }

            if (frame.Kind == unanswered || frame.Kind == 'k')
            {
                came.TrySetResult();
            }
            else if (frame.Kind == 'r')
            {
                source.Cancel();
            }
            else
            {
                _guest.Keep(frame);
            }
        };
        Task first = _shell.RunAsync("first", Timeout.InfiniteTimeSpan, source.Token);
        Task[] waiting = [.. Enumerable.Range(0, 5).Select(_ => _shell.RunAsync("waiting", Timeout.InfiniteTimeSpan, token))];
        await came.Task.WaitAsync(token);
        _shell.Dispose();
        foreach (Task task in waiting)
        {
            ObjectDisposedException? error = await Assert.ThrowsAsync<ObjectDisposedException>(() => task.WaitAsync(token));
            Assert.That(error!.ObjectName, Is.EqualTo(typeof(GuestShell).FullName));
        }

        Assert.That(() => first.WaitAsync(token), unanswered == 'k' ? Throws.InstanceOf<OperationCanceledException>() : Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(killed, Is.EqualTo(unanswered == 'k'), "what runs in the guest goes on");

        // The console is free for others.
        using ConsoleOutputReader reader = _guest.Console.OpenReader();
    }

    [Test]
    public async Task A_disposed_shell_says_so()
    {
        _shell.Dispose();
        _shell.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => _shell.RunAsync("x"));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => _shell.ReadFileAsync("/x"));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => _shell.WriteFileAsync("/x", new byte[1]));
    }

    [Test]
    public async Task Calls_cancellations_and_the_disposal_at_the_same_time_all_end(CancellationToken token)
    {
        List<Exception> unobserved = [];
        void Observe(object? sender, UnobservedTaskExceptionEventArgs e) => unobserved.Add(e.Exception);
        TaskScheduler.UnobservedTaskException += Observe;
        try
        {
            await RaceAsync(token);
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        finally
        {
            TaskScheduler.UnobservedTaskException -= Observe;
        }

        Assert.That(unobserved, Is.Empty);
    }

    private static async Task RaceAsync(CancellationToken token)
    {
        var random = new Random(1);
        for (int round = 0; round < 50; round++)
        {
            using var guest = new ScriptedGuest();
            GuestShell shell = await GuestShell.AttachAsync(guest.Console, cancellationToken: token);
            shell.InterruptPatience = TimeSpan.FromMilliseconds(50);
            using var source = new CancellationTokenSource();
            Task[] calls = [.. Enumerable.Range(0, 8).Select(i => Task.Run(() => shell.RunAsync("x", Timeout.InfiniteTimeSpan, i % 2 == 0 ? source.Token : default)))];
            int spin = random.Next(100_000);
            Task[] ends = [Task.Run(source.Cancel, token), Task.Run(() => { Thread.SpinWait(spin); shell.Dispose(); }, token), Task.Run(shell.Dispose, token)];
            await Task.WhenAll(ends).WaitAsync(token);
            foreach (Task call in calls)
            {
                try
                {
                    await call.WaitAsync(TimeSpan.FromSeconds(20), token);
                }
                catch (Exception e) when (e is ObjectDisposedException or OperationCanceledException)
                {
                    // Either may come first.
                }
            }
        }
    }
}
