using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Uml.Net.Tests.Transports;

/// <summary>
/// A network of the test's own: a thread that leaves the host's for a new one, which ends with the thread and with the descriptors that were opened by
/// it. Nothing of the host's network is touched, and nothing is left behind.
/// </summary>
internal static partial class NetworkNamespace
{
    private const int CloneNewNet = 0x4000_0000;

    /// <summary>Runs a test in a network of its own; skipped where we may not make one. Commands that it starts are in it too.</summary>
    public static void Run(Func<Task> test)
    {
        PeerTool.IgnoreUnlessInstalled("iproute2", "ip");
        int error = 0;
        ExceptionDispatchInfo? failure = null;
        Thread thread = new(() =>
        {
            if (Unshare(CloneNewNet) != 0)
            {
                error = Marshal.GetLastPInvokeError();
                return;
            }

            try
            {
                // What IPv6 says of itself on a new interface would come between a test's frames.
                File.WriteAllText("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
                Pump.Run(test);
            }
            catch (Exception exception)
            {
                failure = ExceptionDispatchInfo.Capture(exception);
            }
        });
        thread.Start();
        thread.Join();
        failure?.Throw();
        if (error != 0)
        {
            Assert.Ignore($"A network of its own needs root: {Marshal.GetPInvokeErrorMessage(error)}.");
        }
    }

    /// <summary>Runs ip(8) in the network of this thread.</summary>
    public static void Ip(string arguments) => PeerTool.Run("iproute2", "ip", arguments.Split(' '));

    /// <summary>Continues what waits on the thread that has begun it, as only that is in the network.</summary>
    private sealed class Pump : SynchronizationContext
    {
        private readonly BlockingCollection<(SendOrPostCallback Callback, object? State)> _posted = [];

        public static void Run(Func<Task> test)
        {
            Pump pump = new();
            SetSynchronizationContext(pump);
            Task running = test();
            _ = running.ContinueWith(_ => pump._posted.CompleteAdding(), TaskScheduler.Default);
            foreach ((SendOrPostCallback callback, object? state) in pump._posted.GetConsumingEnumerable())
            {
                callback(state);
            }

            running.GetAwaiter().GetResult();
        }

        public override void Post(SendOrPostCallback d, object? state) => _posted.Add((d, state));
    }

    [LibraryImport("libc", EntryPoint = "unshare", SetLastError = true)]
    private static partial int Unshare(int flags);
}
