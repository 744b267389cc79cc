using System.Text;
using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Memory;
using Uml.Devices.Consoles;

namespace Uml.Devices.Tests.Consoles;

[TestFixture]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class KernelPanicMonitorTests
{
    private const string Panic = "[    2.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\r\n";
    private const string End = "[    2.3] ---[ end Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100 ]---\r\n";
    private static readonly MachineExit Reboot = new(MachineExitReason.Reboot, 0, "The guest asked for a reset.");

    private readonly KernelPanicMonitor _monitor = new();
    private readonly Machine _machine = new();

    [Test]
    public void A_reset_after_a_panic_is_a_panic()
    {
        Observe(Panic + "[    2.2] CPU: 0 PID: 1 Comm: init\r\n");
        MachineExit exit = _monitor.Interpret(Reboot);
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.Panic));
        Assert.That(exit.Message, Does.Contain("Attempted to kill init! exitcode=0x00000100"));
    }

    [Test]
    public void A_machine_that_is_reset_behind_a_panic_ends()
    {
        Observe("login: ");
        _monitor.Reset();
        Assert.That(_machine.Exit, Is.Null);
        Observe(Panic + End);
        _monitor.Reset();
        Assert.That(_machine.Exit?.Reason, Is.EqualTo(MachineExitReason.Panic));
        Assert.That((_monitor.Panic, _machine.Timer.Deadline), Is.EqualTo(((string?)null, (ulong?)null)));
    }

    [Test]
    public void Pieces_of_any_size_are_put_together([Values(1, 2, 7, 1000)] int size)
    {
        byte[] bytes = Encoding.ASCII.GetBytes("noise\r\n" + Panic);
        for (int i = 0; i < bytes.Length; i += size)
        {
            _monitor.Observe(bytes.AsSpan(i, Math.Min(size, bytes.Length - i)));
        }

        Assert.That(_monitor.Panic, Is.EqualTo("Attempted to kill init! exitcode=0x00000100"));
    }

    [Test]
    public void A_panic_without_time_stamps_counts()
    {
        Observe("Kernel panic - not syncing: Oops\r\nCPU: 0 PID: 1\r\n");
        Assert.That(_monitor.Panic, Is.EqualTo("Oops"));
    }

    [Test]
    public void An_old_log_that_the_guest_prints_is_no_panic()
    {
        Observe(Panic + End + "~ # ls\r\n");
        Assert.That(_monitor.Interpret(Reboot), Is.SameAs(Reboot));
        Assert.That(_machine.Timer.Deadline, Is.Null);
    }

    [TestCase("echo Kernel panic - not syncing: ha\r\n")]
    [TestCase("Kernel panic\r\n")]
    [TestCase("\r\n")]
    public void Other_text_is_no_panic(string text)
    {
        Observe(text);
        Assert.That(_monitor.Panic, Is.Null);
    }

    [Test]
    public void A_power_off_stays_a_power_off()
    {
        Observe(Panic);
        var powerOff = new MachineExit(MachineExitReason.PowerOff, 0, "");
        Assert.That(_monitor.Interpret(powerOff), Is.SameAs(powerOff));
    }

    [Test]
    public void A_silent_panic_loop_ends_the_machine()
    {
        Observe(Panic + End);
        Assert.That(_machine.Timer.Deadline, Is.EqualTo(1_000_000_000));
        Assert.That(_machine.Exit, Is.Null);
        _machine.Timer.Fire();
        Assert.That(_machine.Exit!.Reason, Is.EqualTo(MachineExitReason.Panic));
    }

    [Test]
    public void A_prompt_after_an_old_log_keeps_the_machine_running()
    {
        Observe(Panic + End + "~ # ");
        _machine.Timer.Fire();
        Assert.That(_machine.Exit, Is.Null);
    }

    [Test]
    public void Endless_lines_cost_nothing()
    {
        byte[] flood = new byte[100_000];
        for (int i = 0; i < 100; i++)
        {
            _monitor.Observe(flood);
        }

        Observe("\n" + Panic);
        Assert.That(_monitor.Panic, Is.Not.Null);
    }

    [SetUp]
    public void SetUp() => _monitor.Attach(_machine);

    private void Observe(string text) => _monitor.Observe(Encoding.ASCII.GetBytes(text));

    private sealed class Machine : IMachineContext, IMachineClock
    {
        public event Action? Quiescing
        {
            add { }
            remove { }
        }

        public Timer Timer { get; private set; } = null!;

        public MachineExit? Exit { get; private set; }

        public IMachineBus Bus => throw new NotSupportedException();

        public IGuestMemory Memory => throw new NotSupportedException();

        public IMachineClock Clock => this;

        public IReadOnlyList<IProcessor> Processors => [];

        public IReadOnlyList<IMachineDevice> Devices => [];

        public T Own<T>(T resource)
            where T : IDisposable => resource;

        public bool IsVirtual => true;

        public ulong Nanoseconds => 0;

        public ulong TscFrequency => 1_000_000_000;

        public DateTimeOffset StartTime => default;

        public ulong ReadTsc() => 0;

        public IMachineTimer CreateTimer(string name, Action callback) => Timer = new Timer(name, callback);

        public void RequestExit(MachineExit exit) => Exit ??= exit;

        public void Post(Action action) => action();
    }

    private sealed class Timer(string name, Action callback) : IMachineTimer
    {
        public string Name => name;

        public ulong? Deadline { get; private set; }

        public void Schedule(ulong deadline) => Deadline = deadline;

        public void Cancel() => Deadline = null;

        public void Dispose() => Cancel();

        public void Fire() => callback();
    }
}
