using System.Globalization;
using BenchmarkDotNet.Running;
using Uml.Benchmarks;
using Uml.Storage.FileSystems;
using Uml.Storage.FileSystems.Ext4;

// "ext4 tree image" makes an image; benchmarks/ext4.sh compares that with mke2fs.
if (args is ["ext4", var tree, var image])
{
    await new DiskImageBuilder { FileSystem = new Ext4Options { FreeBytes = 64 << 20 } }.AddDirectory(tree).BuildAsync(image);
    return;
}

// "boot [kernel package or file] [MiB] [kernel arguments]" measures a boot in this fresh process; everything else is BenchmarkDotNet's.
if (args is ["boot", ..])
{
    string kernel = args.Length > 1 ? args[1] : "linux-image-cloud-amd64";
    ulong memory = args.Length > 2 ? ulong.Parse(args[2], CultureInfo.InvariantCulture) << 20 : 256UL << 20;
    await BootMeasurement.RunAsync(kernel, memory, args.Length > 3 ? args[3] : "");
    return;
}

BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
