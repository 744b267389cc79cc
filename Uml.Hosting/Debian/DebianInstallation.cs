using System.Text;
using Uml.Core;
using Uml.Core.Boot;
using Uml.Core.Machine;
using Uml.Devices.Board;
using Uml.Devices.Consoles;
using Uml.Devices.Virtio;
using Uml.Hosting.Assets;
using Uml.Hosting.Images;
using Uml.Storage.Formats.Raw;

namespace Uml.Hosting.Debian;

/// <summary>Completes the installation of unpacked packages in a guest that has the image as its disk.</summary>
internal static class DebianInstallation
{
    private const string Step = "Installing in a guest";
    private const int ShownOutput = 4000;

    /// <summary>Boots the image with the second stage's script as its init, and waits until it is done.</summary>
    /// <exception cref="MachineConfigurationException">It failed; the message shows the console's end.</exception>
    public static async Task CompleteAsync(
        DebianImageOptions options,
        GuestAssetCache assets,
        string image,
        int packages,
        IProgress<DebianImageProgress>? progress,
        CancellationToken cancellationToken)
    {
        KernelAsset kernel = await assets.GetKernelAsync(options.Kernel, cancellationToken).ConfigureAwait(false);
        string modules = kernel.ModulesDirectory ?? throw new MachineConfigurationException(
            $"The kernel package {kernel.Package} has no modules, which the driver of disks is one of; name another, such as linux-image-cloud-amd64.");
        BootFile initrd = await RootDiskInitramfs.CreateAsync(modules, assets, cancellationToken: cancellationToken).ConfigureAwait(false);
        InMemoryConsoleChannel console = new();
        using ConsoleOutputReader reader = console.OpenReader();
        IVirtualMachine machine = UmlMachine.CreateDefaultBuilder()
            .Configure(machine => machine.MemorySize = options.BuildMemory)
            .UseKernel(
                BootFile.FromPath(kernel.ImagePath), initrd, $"{UmlMachine.DefaultCommandLine} quiet loglevel=1 root=/dev/vda rw init={DebianSecondStage.Path}")
            .AddConsole(console)
            .AddBlockDevice(_ => RawBlockDevice.Open(image))
            .AddEntropy()
            .Build();
        await using (machine.ConfigureAwait(false))
        {
            using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(options.BuildPatience);
            try
            {
                await machine.StartAsync(limit.Token).ConfigureAwait(false);
                bool isDone = await FollowAsync(reader, packages, progress, limit.Token).ConfigureAwait(false);
                MachineExit exit = await machine.WaitForExitAsync(limit.Token).ConfigureAwait(false);
                if (!isDone || exit.Reason != MachineExitReason.PowerOff)
                {
                    throw Failed($"the guest ended: {exit.Message}", console);
                }
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                throw Failed($"the guest took longer than {options.BuildPatience}", console);
            }
        }
    }

    private static MachineConfigurationException Failed(string why, InMemoryConsoleChannel console)
    {
        string output = console.Transcript;
        return new MachineConfigurationException(
            $"Debian's packages could not be installed: {why}. The end of the guest's console:\n{output[Math.Max(0, output.Length - ShownOutput)..]}");
    }

    /// <summary>Reads the script's lines until the machine ends.</summary>
    private static async Task<bool> FollowAsync(
        ConsoleOutputReader reader, int packages, IProgress<DebianImageProgress>? progress, CancellationToken cancellationToken)
    {
        progress?.Report(new(Step, 0));
        HashSet<string> installed = new(StringComparer.Ordinal);
        bool isDone = false;
        StringBuilder line = new();
        byte[] buffer = new byte[4096];
        while (await ReadAsync(reader, buffer, cancellationToken).ConfigureAwait(false) is > 0 and int count)
        {
            foreach (char c in Encoding.Latin1.GetString(buffer, 0, count))
            {
                if (c != '\n')
                {
                    line.Append(line.Length < buffer.Length ? c : "");
                    continue;
                }

                string text = line.ToString().TrimEnd('\r');
                line.Clear();
                isDone |= text == DebianSecondStage.Done;
                if (text.StartsWith(DebianSecondStage.Installed, StringComparison.Ordinal) && installed.Add(text))
                {
                    progress?.Report(new(Step, Math.Min(100, 100.0 * installed.Count / packages)));
                }
            }
        }

        return isDone;
    }

    /// <summary>Zero when the machine has ended.</summary>
    private static async ValueTask<int> ReadAsync(ConsoleOutputReader reader, byte[] buffer, CancellationToken cancellationToken)
    {
        try
        {
            return await reader.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        }
        catch (ConsoleExpectException)
        {
            return 0;
        }
    }
}
