using System.Text;
using Uml.Core.Machine;

namespace Uml.Guest.Tests;

/// <summary>A command in a guest: its output and exit code, byte for byte, and the ways a guest ends.</summary>
[TestFixture]
[Category("Guest")]
public sealed class CommandTests
{
    [TestCase("exit 0", 0u)]
    [TestCase("sh -c 'kill -9 $$'", 137u)]
    [TestCase("(exit 255)", 255u)]
    public async Task The_exit_code_of_a_command_is_the_machines(string command, uint status)
    {
        (MachineExit exit, string output, _) = await GuestMachine.RunAsync(command);
        Assert.That((exit.Reason, exit.Status), Is.EqualTo((MachineExitReason.DebugExit, status)), output);
    }

    [Test]
    public async Task The_output_is_the_commands_bytes_and_nothing_else()
    {
        StringBuilder expected = new();
        for (int i = 1; i <= 3000; i++)
        {
            expected.Append(i).Append('\n');
        }

        (MachineExit exit, string output, _) = await GuestMachine.RunAsync("i=0; while [ $((i+=1)) -le 3000 ]; do echo $i; done; printf 'a\\tb\\r\\n\\001end' >&2");
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.DebugExit), output);
        Assert.That(output, Is.EqualTo(expected + "a\tb\r\n\u0001end"));
    }

    [TestCase("poweroff -f", MachineExitReason.PowerOff)]
    [TestCase("reboot -f", MachineExitReason.Reboot)]
    [TestCase("halt -f", MachineExitReason.Halted)]
    [TestCase("echo c > /proc/sysrq-trigger", MachineExitReason.Panic)]
    [TestCase("echo b > /proc/sysrq-trigger", MachineExitReason.Reboot)]
    public async Task A_guest_that_ends_itself_says_how(string command, MachineExitReason reason)
    {
        (MachineExit exit, string output, _) = await GuestMachine.RunAsync(command);
        Assert.That(exit.Reason, Is.EqualTo(reason), $"{exit.Message}\n{output}");
    }

    [Test]
    public async Task A_panic_that_does_not_reboot_is_a_panic()
    {
        (MachineExit exit, string output, _) = await GuestMachine.RunAsync("echo c > /proc/sysrq-trigger", commandLine: "quiet panic=0");
        Assert.That(exit.Reason, Is.EqualTo(MachineExitReason.Panic), $"{exit.Message}\n{output}");
        Assert.That(exit.Message, Does.Contain("sysrq triggered crash"));
    }
}
